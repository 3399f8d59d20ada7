"""A system that tells Lockstep of stock over RabbitMQ and listens to what becomes of orders.

    python3 stock_events.py --url amqp://wms-app:secret@broker:5672/%2f --system wms-app send counts.csv
    python3 stock_events.py --url amqp://wms-app:secret@broker:5672/%2f --system wms-app send --partitions 256 counts.csv
    python3 stock_events.py --url amqp://shop-app:secret@broker:5672/%2f --system shop-app listen --channel shop

Needs pika 1.3 (https://pika.readthedocs.io). What it shows is what each sender and each listener needs:

- persistent messages, publisher confirms, and `mandatory`: a message counts as sent once the broker has it;
- an id that is the same for every repeat, so that sending again does no harm: it is made from the row, not drawn;
- with `--partitions`, the partition: such messages go straight to the node that decides them, if the service has
  `amqp.partition_queues`, and each item's in the order in which they were sent;
- `user_id`, which the broker checks: Lockstep knows who sends by it ([amqp.users] in its configuration);
- a connection that is made anew with growing pauses, and what was not confirmed sent again;
- a durable queue of the listener's own, acknowledgement after the work, and passing over events that were seen before.
"""

import argparse
import csv
import hashlib
import json
import sys
import time
import zlib

import pika
from pika.exceptions import AMQPError, NackError, UnroutableError

SCHEMA, VERSION = "lockstep.stock.event", 1
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
CONTENT_TYPE = "application/json"


def receipt(row):
    """The canonical message of a row `sku,warehouse,quantity,document`. The same row is the same message."""
    sku, warehouse, document = row["sku"], row["warehouse"], row["document"]
    body = {
        "sku": sku,
        "warehouse": warehouse,
        "change": {"receipt": {"quantity": int(row["quantity"]), "document": document}},
    }
    id = hashlib.sha256(f"{document}/{sku}/{warehouse}".encode()).hexdigest()[:32]
    return {"schema": SCHEMA, "version": VERSION, "id": id, "body": body}


def partition_of(key, partitions):
    """The partition of what a message is about: of a stock event its SKU, of an order `channel/number`."""
    return zlib.crc32(key.encode()) % partitions


class Lockstep:
    """A connection that is made anew when it is lost."""

    def __init__(self, url, prefix, user, partitions=None):
        self.url, self.prefix, self.user, self.partitions = url, prefix, user, partitions
        self.connection = self.channel = None

    def connected(self):
        """A channel in confirm mode; waits for as long as it takes."""
        pause = FIRST_PAUSE
        while self.channel is None or not self.channel.is_open:
            try:
                self.connection = pika.BlockingConnection(pika.URLParameters(self.url))
                self.channel = self.connection.channel()
                self.channel.confirm_delivery()
            except AMQPError as error:
                print(f"the broker cannot be reached yet: {error!r}", file=sys.stderr)
                self.channel = None
                time.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
        return self.channel

    def address(self, message):
        """The exchange and the routing key of a stock event."""
        if self.partitions is None:
            return f"{self.prefix}.ingress", "stock"
        return f"{self.prefix}.partitions", str(partition_of(message["body"]["sku"], self.partitions))

    def send(self, message, reply_to=None):
        """Returns once the broker has the message, durably."""
        properties = pika.BasicProperties(
            content_type=CONTENT_TYPE,
            delivery_mode=2,
            user_id=self.user,
            message_id=message["id"],
            correlation_id=message.get("correlation_id", message["id"]),
            reply_to=reply_to,
        )
        body = json.dumps(message).encode()
        while True:
            try:
                self.connected().basic_publish(*self.address(message), body, properties, mandatory=True)
                return
            except (NackError, UnroutableError) as error:
                # The queue is full, or Lockstep has not declared it yet: the broker does not have the message.
                print(f"not taken, sent again: {error!r}", file=sys.stderr)
                time.sleep(FIRST_PAUSE)
            except AMQPError as error:
                # Whether the broker has it is not known. Sent again under its id it takes effect once.
                print(f"the connection is lost, sent again: {error!r}", file=sys.stderr)
                self.channel = None

    def ask(self, message, within=30.0):
        """Sends a message and returns what became of it; `None` if no answer came in time."""
        answers = self.connected().queue_declare("", exclusive=True).method.queue
        self.send(message, reply_to=answers)
        for method, properties, body in self.channel.consume(answers, auto_ack=True, inactivity_timeout=within):
            if method is None:
                return None
            if properties.correlation_id == message["id"]:
                self.channel.cancel()
                return json.loads(body)["body"]

    def listen(self, queue, routing_key, take):
        """Hands each event to `take` once, and acknowledges after it, until `take` returns False."""
        seen = {}
        while True:
            try:
                channel = self.connected()
                # A quorum queue of our own: what is told while we are away waits here.
                channel.queue_declare(queue, durable=True, arguments={"x-queue-type": "quorum"})
                channel.queue_bind(queue, f"{self.prefix}.events", routing_key)
                channel.basic_qos(prefetch_count=64)
                for method, properties, body in channel.consume(queue):
                    go_on = True
                    if properties.message_id not in seen:
                        go_on = take(method.routing_key, json.loads(body))
                        # A process that ends forgets this: keep the ids beside what `take` writes where that matters.
                        seen[properties.message_id] = None
                        if len(seen) > 10_000:
                            del seen[next(iter(seen))]
                    channel.basic_ack(method.delivery_tag)
                    if go_on is False:
                        channel.cancel()
                        return
            except AMQPError as error:
                print(f"the connection is lost: {error!r}", file=sys.stderr)
                self.channel = None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="amqp://user:password@host:5672/%%2f")
    parser.add_argument("--prefix", default="lockstep", help="amqp.prefix of the service")
    parser.add_argument("--system", required=True, help="the broker's user that sends, as in --url")
    commands = parser.add_subparsers(required=True, dest="command")
    sending = commands.add_parser("send", help="send receipts, rows of sku,warehouse,quantity,document")
    sending.add_argument("file")
    sending.add_argument("--ask", action="store_true", help="wait for what became of each")
    sending.add_argument("--partitions", type=int, help="store.partitions of a service with amqp.partition_queues")
    listening = commands.add_parser("listen", help="print what becomes of the orders of a channel")
    listening.add_argument("--channel", required=True)
    listening.add_argument("--count", type=int, help="end after so many events")
    arguments = parser.parse_args()
    partitions = arguments.partitions if arguments.command == "send" else None
    lockstep = Lockstep(arguments.url, arguments.prefix, arguments.system, partitions)
    if arguments.command == "send":
        with open(arguments.file, newline="") as file:
            for row in csv.DictReader(file):
                message = receipt(row)
                if arguments.ask:
                    print(json.dumps(lockstep.ask(message)), flush=True)
                else:
                    lockstep.send(message)
        return
    left = arguments.count

    def take(routing_key, event):
        nonlocal left
        print(json.dumps({"routing_key": routing_key, **event["body"]}), flush=True)
        left = None if left is None else left - 1
        return left != 0

    queue = f"{arguments.prefix}.{arguments.system}.{arguments.channel}"
    lockstep.listen(queue, f"order.status.{arguments.channel}", take)


if __name__ == "__main__":
    main()

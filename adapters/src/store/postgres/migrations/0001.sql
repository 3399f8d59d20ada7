-- What a store of Lockstep keeps, format 1. Run once, in one transaction, before anything else.
create schema lockstep;

create table lockstep.store (
    only_row boolean primary key default true check (only_row),
    format integer not null,
    -- The same in all databases of one store.
    identity text not null,
    partitions integer not null,
    -- Whether every database of the store has been created; of meaning in the first one.
    complete boolean not null default false,
    -- What the nodes of a cluster know each other by.
    secret text not null default gen_random_uuid()::text || gen_random_uuid()::text
);

-- The processes that share the store, by the clock of this database. In the first database alone.
create table lockstep.node (
    id text primary key,
    name text not null,
    -- Where other nodes reach it.
    address text not null,
    -- The newest form of messages between nodes that it speaks.
    protocol integer not null,
    lease_until timestamptz not null,
    draining boolean not null default false
);

-- Who has which partition. In the first database alone.
create table lockstep.placement (
    partition integer primary key,
    owner text,
    tenure bigint not null default 0
);

-- Half-filled pages: each commit writes these rows again, and finds room beside the old versions.
create table lockstep.partition (
    id integer primary key,
    -- The newest owner that has acquired it, among all owners it has had.
    tenure bigint not null default 0,
    epoch bigint not null default 0,
    next_sequence bigint not null default 1,
    header bytea
) with (fillfactor = 50);

create table lockstep.journal (
    partition integer not null,
    first_sequence bigint not null,
    end_sequence bigint not null,
    checksum integer not null,
    body bytea not null,
    primary key (partition, first_sequence)
);
-- Written once and read once or twice: not worth the time of compressing.
alter table lockstep.journal alter column body set storage external;

create table lockstep.snapshot (
    partition integer not null,
    kind smallint not null,
    entity bytea not null,
    sequence bigint not null,
    alarm bigint,
    checksum integer not null,
    state bytea not null,
    primary key (partition, kind, entity)
);
create index snapshot_alarm on lockstep.snapshot (partition, alarm, kind, entity) where alarm is not null;

create table lockstep.cursor (
    partition integer not null,
    consumer text not null,
    sequence bigint not null,
    primary key (partition, consumer)
);

create table lockstep.dead_letter (
    partition integer not null,
    sequence bigint not null,
    letter bytea not null,
    primary key (partition, sequence)
);

-- All of a commit or, by an error, nothing of it. LS001: a partition is held under another epoch; the message is its
-- number. LS002: a partition does not go on where the commit says.
create function lockstep.commit(
    part_id integer[], part_epoch bigint[], part_first bigint[], part_next bigint[], part_header bytea[],
    part_trim bigint[],
    blob_partition integer[], blob_first bigint[], blob_end bigint[], blob_checksum integer[], blob_body bytea[],
    snapshot_partition integer[], snapshot_kind smallint[], snapshot_entity bytea[], snapshot_sequence bigint[],
    snapshot_alarm bigint[], snapshot_checksum integer[], snapshot_state bytea[],
    letter_partition integer[], letter_sequence bigint[], letter_body bytea[],
    cursor_partition integer[], cursor_epoch bigint[], cursor_consumer text[], cursor_sequence bigint[]
) returns void language plpgsql as $body$
declare
    held bigint;
    lost integer;
begin
    if cardinality(part_id) > 0 then
        update lockstep.partition p
            set next_sequence = given.next, header = coalesce(given.header, p.header)
            from unnest(part_id, part_epoch, part_first, part_next, part_header)
                as given (id, epoch, first, next, header)
            where p.id = given.id and p.epoch = given.epoch and p.next_sequence = given.first;
        get diagnostics held = row_count;
        if held <> cardinality(part_id) then
            select given.id into lost
                from unnest(part_id, part_epoch) as given (id, epoch)
                left join lockstep.partition p on p.id = given.id
                where p.epoch is distinct from given.epoch
                order by given.id limit 1;
            if lost is not null then
                raise exception using errcode = 'LS001', message = lost::text;
            end if;
            raise exception using errcode = 'LS002', message = 'a partition does not go on where the commit says';
        end if;
    end if;
    if cardinality(blob_partition) > 0 then
        insert into lockstep.journal (partition, first_sequence, end_sequence, checksum, body)
            select * from unnest(blob_partition, blob_first, blob_end, blob_checksum, blob_body);
    end if;
    -- After the blobs have been added: of several batches in one commit a later one may trim what an earlier one added.
    if cardinality(part_id) > 0 then
        delete from lockstep.journal j
            using unnest(part_id, part_trim) as given (id, trim_before)
            where j.partition = given.id and j.first_sequence < given.trim_before
                and j.end_sequence <= given.trim_before;
    end if;
    if cardinality(snapshot_partition) > 0 then
        insert into lockstep.snapshot (partition, kind, entity, sequence, alarm, checksum, state)
            select * from unnest(snapshot_partition, snapshot_kind, snapshot_entity, snapshot_sequence,
                snapshot_alarm, snapshot_checksum, snapshot_state)
            on conflict (partition, kind, entity) do update
                set sequence = excluded.sequence, alarm = excluded.alarm, checksum = excluded.checksum,
                    state = excluded.state;
    end if;
    if cardinality(letter_partition) > 0 then
        insert into lockstep.dead_letter (partition, sequence, letter)
            select * from unnest(letter_partition, letter_sequence, letter_body);
    end if;
    if cardinality(cursor_partition) > 0 then
        -- The cursors of a partition that somebody else has taken over are theirs.
        insert into lockstep.cursor (partition, consumer, sequence)
            select p.id, given.consumer, given.sequence
                from unnest(cursor_partition, cursor_epoch, cursor_consumer, cursor_sequence)
                    as given (id, epoch, consumer, sequence)
                join lockstep.partition p on p.id = given.id and p.epoch = given.epoch
            on conflict (partition, consumer) do update set sequence = excluded.sequence;
    end if;
end
$body$;

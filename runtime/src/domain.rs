//! The [`domain!`](crate::domain) macro: several kinds of entities as one set of types, dispatched statically.

/// Ties kinds of entities together into a [`Domain`](crate::entity::Domain).
///
/// ```text
/// lockstep_runtime::domain! {
///     /// A shop.
///     pub domain Shop { message: Message, reply: Reply, tables: Tables, view: View, reference: Reference, publish: publish_view, admit: admit_all }
///     entities { Stock: StockEntity, Order: OrderEntity }
/// }
/// ```
/// makes `enum Message { Stock(StockId, StockCommand), .. }`, `enum Reply { Stock(StockReply), .. }`, the tables of a
/// shard, and `From` for each pair of id and command. `view` and `reference` are types of the caller's,
/// `publish` a function `fn(&Reference, View)`, `admit` one `fn(&Reference, Envelope<Shop>) -> Envelope<Shop>`.
#[macro_export]
macro_rules! domain {
    (
        $(#[$doc:meta])*
        pub domain $domain:ident {
            message: $message:ident, reply: $reply:ident, tables: $tables:ident,
            view: $view:ty, reference: $reference:ty, publish: $publish:path, admit: $admit:path $(,)?
        }
        entities { $($variant:ident : $entity:ty),+ $(,)? }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $domain;

        /// A command together with the entity it is for.
        #[derive(Clone, Debug)]
        pub enum $message {
            $(
                #[doc = concat!("For a ", stringify!($variant), ".")]
                $variant(<$entity as $crate::entity::Entity>::Id, <$entity as $crate::entity::Entity>::Command),
            )+
        }

        /// Any entity's reply.
        #[derive(Clone, Debug, PartialEq, ::serde::Serialize, ::serde::Deserialize)]
        pub enum $reply {
            $(
                #[doc = concat!("Of a ", stringify!($variant), ".")]
                $variant(<$entity as $crate::entity::Entity>::Reply),
            )+
        }

        /// The states of one shard's entities.
        #[derive(Debug, Default)]
        #[allow(non_snake_case)]
        pub struct $tables { $($variant: $crate::table::Table<$entity>,)+ }

        $(
            impl From<(<$entity as $crate::entity::Entity>::Id, <$entity as $crate::entity::Entity>::Command)> for $message {
                fn from((id, command): (<$entity as $crate::entity::Entity>::Id, <$entity as $crate::entity::Entity>::Command)) -> Self {
                    Self::$variant(id, command)
                }
            }
            impl From<<$entity as $crate::entity::Entity>::Reply> for $reply {
                fn from(reply: <$entity as $crate::entity::Entity>::Reply) -> Self {
                    Self::$variant(reply)
                }
            }
        )+

        impl $crate::entity::AddressedMessage for $message {
            fn kind(&self) -> $crate::entity::EntityKind {
                match self { $(Self::$variant(..) => <$entity as $crate::entity::Entity>::KIND,)+ }
            }
            fn routing_key(&self) -> &[u8] {
                match self { $(Self::$variant(id, _) => $crate::entity::EntityId::routing_key(id),)+ }
            }
            fn key_of(kind: $crate::entity::EntityKind, id: &[u8]) -> Option<Vec<u8>> {
                match kind {
                    $(
                        <$entity as $crate::entity::Entity>::KIND => {
                            let id: <$entity as $crate::entity::Entity>::Id = $crate::entity::EntityId::decode(id)?;
                            Some($crate::entity::EntityId::routing_key(&id).to_vec())
                        }
                    )+
                    _ => None,
                }
            }
            fn encode_id(&self, into: &mut Vec<u8>) {
                match self { $(Self::$variant(id, _) => $crate::entity::EntityId::encode(id, into),)+ }
            }
            fn encode_command(&self, into: &mut Vec<u8>) -> Result<(), $crate::rmp_serde::encode::Error> {
                match self { $(Self::$variant(_, command) => $crate::rmp_serde::encode::write(into, command),)+ }
            }
            fn is_query(&self) -> bool {
                match self { $(Self::$variant(_, command) => <$entity as $crate::entity::Entity>::is_query(command),)+ }
            }
            fn is_comparison(&self) -> bool {
                match self { $(Self::$variant(_, command) => <$entity as $crate::entity::Entity>::is_comparison(command),)+ }
            }
            fn decode(kind: $crate::entity::EntityKind, id: &[u8], command: &[u8]) -> Result<Self, String> {
                match kind {
                    $(
                        <$entity as $crate::entity::Entity>::KIND => {
                            let id = $crate::entity::EntityId::decode(id)
                                .ok_or_else(|| format!("not the id of a {}", <$entity as $crate::entity::Entity>::NAME))?;
                            let command = $crate::rmp_serde::from_slice(command).map_err(|error| error.to_string())?;
                            Ok(Self::$variant(id, command))
                        }
                    )+
                    other => Err(format!("no kind of entity has number {}", other.0)),
                }
            }
        }

        impl $crate::table::Tables<$domain> for $tables {
            const KINDS: &'static [$crate::table::KindInfo] = &[$($crate::table::Table::<$entity>::INFO),+];

            fn find(&self, message: &$message) -> Option<$crate::table::Slot> {
                match message { $($message::$variant(id, _) => self.$variant.find(id),)+ }
            }
            fn find_encoded(&self, kind: $crate::entity::EntityKind, entity: &[u8]) -> Option<$crate::table::Slot> {
                match kind { $(<$entity as $crate::entity::Entity>::KIND => self.$variant.find_encoded(entity),)+ _ => None }
            }
            fn activate(
                &mut self,
                partition: $crate::placement::PartitionId,
                kind: $crate::entity::EntityKind,
                entity: &[u8],
                snapshot: Option<$crate::store::SnapshotRef<'_>>,
            ) -> Result<$crate::table::Slot, $crate::table::Corrupt> {
                match kind {
                    $(<$entity as $crate::entity::Entity>::KIND => self.$variant.activate(partition, entity, snapshot),)+
                    other => Err($crate::table::Corrupt { kind: "entity", what: "kind", error: format!("unknown number {}", other.0) }),
                }
            }
            fn speaks_as(
                &self,
                slot: $crate::table::Slot,
                message: &$message,
            ) -> Option<$crate::message::Provenance> {
                match message { $($message::$variant(_, command) => self.$variant.speaks_as(slot, command),)+ }
            }
            fn wakes_as(&self, kind: $crate::entity::EntityKind, slot: $crate::table::Slot) -> Option<$crate::message::Provenance> {
                match kind { $(<$entity as $crate::entity::Entity>::KIND => self.$variant.wakes_as(slot),)+ _ => None }
            }
            fn decide(
                &mut self,
                slot: $crate::table::Slot,
                message: &$message,
                context: &$crate::entity::Context<'_, $domain>,
                sequence: $crate::message::Sequence,
                writer: &mut $crate::journal::EntryWriter<'_>,
                turn: &mut $crate::table::Turn<$domain>,
            ) -> Result<$reply, $crate::journal::EncodeError> {
                match message {
                    $($message::$variant(_, command) => self.$variant.decide(slot, command, context, sequence, writer, turn).map(Into::into),)+
                }
            }
            fn ask(
                &self,
                slot: $crate::table::Slot,
                message: &$message,
                context: &$crate::entity::Context<'_, $domain>,
            ) -> Result<$reply, $crate::table::NotAQuery> {
                match message {
                    $($message::$variant(_, command) => self.$variant.ask(slot, command, context).map(Into::into),)+
                }
            }
            fn wake(
                &mut self,
                kind: $crate::entity::EntityKind,
                slot: $crate::table::Slot,
                context: &$crate::entity::Context<'_, $domain>,
                sequence: $crate::message::Sequence,
                writer: &mut $crate::journal::EntryWriter<'_>,
                turn: &mut $crate::table::Turn<$domain>,
            ) -> Result<Option<()>, $crate::journal::EncodeError> {
                match kind {
                    $(<$entity as $crate::entity::Entity>::KIND => self.$variant.wake(slot, context, sequence, writer, turn),)+
                    _ => Ok(None),
                }
            }
            fn replay<'a>(
                &mut self,
                kind: $crate::entity::EntityKind,
                slot: $crate::table::Slot,
                sequence: $crate::message::Sequence,
                events: impl Iterator<Item = &'a [u8]>,
            ) -> Result<bool, $crate::table::Corrupt> {
                match kind {
                    $(<$entity as $crate::entity::Entity>::KIND => self.$variant.replay(slot, sequence, events),)+
                    other => Err($crate::table::Corrupt { kind: "entity", what: "kind", error: format!("unknown number {}", other.0) }),
                }
            }
            fn snapshot(
                &self,
                kind: $crate::entity::EntityKind,
                slot: $crate::table::Slot,
            ) -> Result<$crate::store::SnapshotRecord, $crate::journal::EncodeError> {
                match kind {
                    $(<$entity as $crate::entity::Entity>::KIND => self.$variant.snapshot(slot),)+
                    other => Err($crate::journal::EncodeError::UnknownKind(other)),
                }
            }
            fn is_dirty_since(
                &self,
                kind: $crate::entity::EntityKind,
                slot: $crate::table::Slot,
                partition: $crate::placement::PartitionId,
                since: $crate::message::Sequence,
            ) -> bool {
                match kind { $(<$entity as $crate::entity::Entity>::KIND => self.$variant.is_dirty_since(slot, partition, since),)+ _ => false }
            }
            fn is_dirty(&self, kind: $crate::entity::EntityKind, slot: $crate::table::Slot) -> bool {
                match kind { $(<$entity as $crate::entity::Entity>::KIND => self.$variant.is_dirty(slot),)+ _ => false }
            }
            fn mark_clean(&mut self, kind: $crate::entity::EntityKind, slot: $crate::table::Slot) {
                match kind { $(<$entity as $crate::entity::Entity>::KIND => self.$variant.mark_clean(slot),)+ _ => {} }
            }
            fn partition(&self, kind: $crate::entity::EntityKind, slot: $crate::table::Slot) -> Option<$crate::placement::PartitionId> {
                match kind { $(<$entity as $crate::entity::Entity>::KIND => self.$variant.partition(slot),)+ _ => None }
            }
            fn view(&self, kind: $crate::entity::EntityKind, slot: $crate::table::Slot) -> Option<$view> {
                match kind { $(<$entity as $crate::entity::Entity>::KIND => self.$variant.view(slot),)+ _ => None }
            }
            fn alarm(&self, kind: $crate::entity::EntityKind, slot: $crate::table::Slot) -> Option<$crate::time::Timestamp> {
                match kind { $(<$entity as $crate::entity::Entity>::KIND => self.$variant.alarm(slot),)+ _ => None }
            }
            fn sequence(&self, kind: $crate::entity::EntityKind, slot: $crate::table::Slot) -> Option<$crate::message::Sequence> {
                match kind { $(<$entity as $crate::entity::Entity>::KIND => self.$variant.sequence(slot),)+ _ => None }
            }
            fn encoded_id(&self, kind: $crate::entity::EntityKind, slot: $crate::table::Slot) -> Option<Box<[u8]>> {
                match kind { $(<$entity as $crate::entity::Entity>::KIND => self.$variant.encoded_id(slot),)+ _ => None }
            }
            fn remove(&mut self, kind: $crate::entity::EntityKind, slot: $crate::table::Slot) {
                match kind { $(<$entity as $crate::entity::Entity>::KIND => self.$variant.remove(slot),)+ _ => {} }
            }
            fn active(&self, kind: $crate::entity::EntityKind) -> usize {
                match kind { $(<$entity as $crate::entity::Entity>::KIND => self.$variant.active(),)+ _ => 0 }
            }
            fn slots(&self, kind: $crate::entity::EntityKind) -> u32 {
                match kind { $(<$entity as $crate::entity::Entity>::KIND => self.$variant.slots(),)+ _ => 0 }
            }
            fn describe(
                &self,
                kind: $crate::entity::EntityKind,
                slot: $crate::table::Slot,
            ) -> Result<Option<Vec<u8>>, $crate::journal::EncodeError> {
                match kind { $(<$entity as $crate::entity::Entity>::KIND => self.$variant.describe(slot),)+ _ => Ok(None) }
            }
            fn describe_event(
                kind: $crate::entity::EntityKind,
                event: &[u8],
            ) -> Result<Vec<u8>, $crate::table::Corrupt> {
                match kind {
                    $(<$entity as $crate::entity::Entity>::KIND => $crate::table::Table::<$entity>::describe_event(event),)+
                    other => Err($crate::table::Corrupt { kind: "entity", what: "kind", error: format!("unknown number {}", other.0) }),
                }
            }
        }

        impl $crate::entity::Domain for $domain {
            type Message = $message;
            type Reply = $reply;
            type View = $view;
            type Reference = $reference;
            type Tables = $tables;

            fn publish(reference: &$reference, view: $view) {
                $publish(reference, view);
            }

            fn admit(
                reference: &$reference,
                envelope: $crate::message::Envelope<Self>,
            ) -> $crate::message::Envelope<Self> {
                $admit(reference, envelope)
            }
        }
    };
}

//! The compact form of a record in memory: a million of them must fit into 500 MB. So ids and digests are stored inline, and
//! values that few objects have are boxed.

use uuid::Uuid;

use crate::domain::pay::{Account, Amount, ObjectId, ObjectKind, ObjectRef, PrivateDigests, Reason, State};
use crate::domain::state::retention::LastActivity;
use crate::domain::state::{InboxMark, KnownState, Observed, PermissionIdSource, RetryAwaited, Upcoming};
use crate::domain::timestamp::Timestamp;
use crate::domain::work::Pending;

/// A [`KnownState`] without the name of its account.
#[derive(Debug)]
pub(super) struct Packed {
    pub(super) id: Word<30>,
    /// The number of its account.
    pub(super) account: u32,
    pub(super) partition: i32,
    pub(super) kind: ObjectKind,
    /// Reads since the last written record that changed nothing but their own time.
    pub(super) reads_unwritten: u8,
    pub(super) observed: Option<Seen>,
    rare: Option<Box<Rare>>,
}

/// [`Observed`] without the values that few objects have.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) state: State,
    pub(super) last_updated: Option<Timestamp>,
    pub(super) read_started_at: Timestamp,
    /// With the offset -1 if there is none: an `Option` would take eight more bytes.
    pub(super) read_after: InboxMark,
    /// Empty if it is the object's own id.
    permission_id: Word<30>,
    attributes_digest: Digest,
    attribute_revision: u64,
    pub(super) captured: Option<Amount>,
    last_event_id: Option<Uuid>,
    has_moved: bool,
    stub: bool,
}

#[derive(Debug, Default, PartialEq)]
struct Rare {
    sequence: Option<u64>,
    pending: Option<Box<Pending>>,
    reasons: Box<[Reason]>,
    charge_permission_type: Option<Box<str>>,
    unconfirmed_digest: Option<Box<str>>,
    payment_method_reason: Option<Box<str>>,
    private: Option<PackedPrivate>,
    hint_settled: Option<Timestamp>,
    hint_explained_at: Option<Timestamp>,
    retry_advised_at: Option<Timestamp>,
    usable_since: Option<Timestamp>,
    unconfirmed_reads: u64,
    newest_update: Option<Timestamp>,
    repeats: u64,
    charge_permission_id_source: Option<PermissionIdSource>,
    retry_awaited: Option<RetryAwaited>,
    known_date: Option<Timestamp>,
    /// Without the known date.
    notices: Option<Box<Upcoming>>,
}

/// [`PrivateDigests`].
#[derive(Debug, PartialEq)]
struct PackedPrivate {
    key_id: Word<14>,
    payment_descriptor: Option<Digest>,
    billing_address: Option<Digest>,
    shipping_address: Option<Digest>,
    metadata: Option<Digest>,
}

/// A text: a short one is stored inline, a longer one on the heap.
#[derive(Debug, PartialEq)]
pub(super) enum Word<const N: usize> {
    Short(u8, [u8; N]),
    Long(Box<str>),
}

/// Eight bytes written as sixteen hex digits, or any other text.
#[derive(Debug, PartialEq)]
enum Digest {
    Hex([u8; 8]),
    Text(Box<str>),
}

impl Packed {
    pub(super) fn pack(state: KnownState, account: u32, partition: i32) -> Self {
        let KnownState { version: _, object, observed, sequence, retry_awaited, pending } = state;
        let mut rare = Rare { sequence, retry_awaited, pending: pending.map(Box::new), ..Rare::default() };
        let observed = observed.map(|observed| Seen::pack(observed, &object.id, &mut rare));
        Self {
            id: Word::of(object.id.as_str()),
            account,
            partition,
            kind: object.kind,
            reads_unwritten: 0,
            observed,
            rare: (rare != Rare::default()).then(|| Box::new(rare)),
        }
    }

    pub(super) fn unpack(&self, account: &Account) -> KnownState {
        let object = ObjectRef { account: account.clone(), kind: self.kind, id: self.id.to_id() };
        let none = Rare::default();
        let rare = self.rare.as_deref().unwrap_or(&none);
        KnownState {
            observed: self.observed.as_ref().map(|seen| seen.unpack(&object.id, rare)),
            sequence: rare.sequence,
            retry_awaited: rare.retry_awaited,
            pending: rare.pending.as_deref().cloned(),
            ..KnownState::blank(object)
        }
    }

    /// The id of the charge permission: its own, if it is one.
    pub(super) fn permission_id(&self) -> Option<&str> {
        let permission_id = self.observed.as_ref()?.permission_id.as_str();
        Some(if permission_id.is_empty() { self.id.as_str() } else { permission_id })
    }

    /// The number of the account, the kind and the id.
    pub(super) fn key(&self) -> (u32, ObjectKind, &str) {
        (self.account, self.kind, self.id.as_str())
    }

    /// The account and the permission of an object that captured an amount.
    pub(super) fn captured_for(&self) -> Option<(u32, &str)> {
        self.observed.as_ref()?.captured?;
        Some((self.account, self.permission_id()?))
    }

    /// Since when nothing happened to the object.
    pub(super) fn quiet_since(&self) -> Timestamp {
        LastActivity {
            last_updated: self.observed.as_ref().and_then(|seen| seen.last_updated),
            read_started_at: self.observed.as_ref().map(|seen| seen.read_started_at),
            sequence: self.rare.as_ref().and_then(|rare| rare.sequence),
        }
        .at()
    }

    /// The date at which the object changes by itself.
    pub(super) fn known_date(&self) -> Option<Timestamp> {
        self.rare.as_ref()?.known_date
    }

    pub(super) fn is_stub(&self) -> bool {
        self.observed.as_ref().is_some_and(|seen| seen.stub)
    }

    pub(super) fn has_pending(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.pending.is_some())
    }

    pub(super) fn take_pending(&mut self) -> Option<Pending> {
        let rare = self.rare.as_mut()?;
        let pending = rare.pending.take()?;
        if **rare == Rare::default() {
            self.rare = None;
        }
        Some(*pending)
    }

    pub(super) fn is_blank(&self) -> bool {
        self.observed.is_none() && self.rare.is_none()
    }
}

impl Seen {
    pub(super) fn read_after(&self) -> Option<InboxMark> {
        Some(self.read_after).filter(|mark| *mark != NOTHING_CONSUMED)
    }

    fn pack(observed: Observed, own_id: &ObjectId, rare: &mut Rare) -> Self {
        rare.reasons = observed.reasons.into();
        rare.charge_permission_type = observed.charge_permission_type.map(Into::into);
        rare.unconfirmed_digest = observed.unconfirmed_digest.map(Into::into);
        rare.payment_method_reason = observed.payment_method_reason.map(Into::into);
        rare.private = observed.private.as_ref().map(PackedPrivate::pack);
        rare.hint_settled = observed.hint_settled;
        rare.hint_explained_at = observed.hint_explained_at;
        rare.retry_advised_at = observed.retry_advised_at;
        rare.usable_since = observed.usable_since;
        rare.unconfirmed_reads = observed.unconfirmed_reads;
        rare.newest_update = observed.newest_update;
        rare.repeats = observed.repeats;
        rare.known_date = observed.upcoming.date;
        let notices = Upcoming { date: None, ..observed.upcoming };
        rare.notices = (!notices.is_empty()).then(|| Box::new(notices));
        rare.charge_permission_id_source = observed.charge_permission_id_source;
        let permission_id = observed.charge_permission_id;
        Self {
            state: observed.state,
            last_updated: observed.last_updated,
            read_started_at: observed.read_started_at,
            read_after: observed.read_after.unwrap_or(NOTHING_CONSUMED),
            permission_id: Word::of(if permission_id == *own_id { "" } else { permission_id.as_str() }),
            attributes_digest: Digest::of(&observed.attributes_digest),
            attribute_revision: observed.attribute_revision,
            captured: observed.captured,
            last_event_id: observed.last_event_id,
            has_moved: observed.has_moved,
            stub: observed.stub,
        }
    }

    fn unpack(&self, own_id: &ObjectId, rare: &Rare) -> Observed {
        let text = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
        Observed {
            state: self.state.clone(),
            reasons: rare.reasons.to_vec(),
            last_updated: self.last_updated,
            charge_permission_id: match self.permission_id.as_str() {
                "" => own_id.clone(),
                _ => self.permission_id.to_id(),
            },
            charge_permission_type: text(&rare.charge_permission_type),
            attributes_digest: self.attributes_digest.to_text(),
            attribute_revision: self.attribute_revision,
            unconfirmed_digest: text(&rare.unconfirmed_digest),
            payment_method_reason: text(&rare.payment_method_reason),
            captured: self.captured,
            private: rare.private.as_ref().map(PackedPrivate::unpack),
            hint_settled: rare.hint_settled,
            hint_explained_at: rare.hint_explained_at,
            retry_advised_at: rare.retry_advised_at,
            usable_since: rare.usable_since,
            unconfirmed_reads: rare.unconfirmed_reads,
            newest_update: rare.newest_update,
            repeats: rare.repeats,
            upcoming: Upcoming { date: rare.known_date, ..rare.notices.as_deref().cloned().unwrap_or_default() },
            charge_permission_id_source: rare.charge_permission_id_source,
            read_started_at: self.read_started_at,
            read_after: self.read_after(),
            last_event_id: self.last_event_id,
            has_moved: self.has_moved,
            stub: self.stub,
        }
    }
}

impl PackedPrivate {
    fn pack(private: &PrivateDigests) -> Self {
        let digest = |text: &Option<String>| text.as_deref().map(Digest::of);
        Self {
            key_id: Word::of(&private.key_id),
            payment_descriptor: digest(&private.payment_descriptor),
            billing_address: digest(&private.billing_address),
            shipping_address: digest(&private.shipping_address),
            metadata: digest(&private.metadata),
        }
    }

    fn unpack(&self) -> PrivateDigests {
        let text = |digest: &Option<Digest>| digest.as_ref().map(Digest::to_text);
        PrivateDigests {
            key_id: self.key_id.as_str().to_owned(),
            payment_descriptor: text(&self.payment_descriptor),
            billing_address: text(&self.billing_address),
            shipping_address: text(&self.shipping_address),
            metadata: text(&self.metadata),
        }
    }
}

impl<const N: usize> Word<N> {
    fn of(text: &str) -> Self {
        let mut short = [0; N];
        match short.get_mut(..text.len()) {
            Some(room) => {
                room.copy_from_slice(text.as_bytes());
                Self::Short(text.len() as u8, short)
            }
            None => Self::Long(text.into()),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Short(len, bytes) => std::str::from_utf8(&bytes[..usize::from(*len)]).expect("only text is stored"),
            Self::Long(text) => text,
        }
    }

    fn to_id(&self) -> ObjectId {
        ObjectId::parse(self.as_str()).expect("only ids are stored")
    }
}

impl Digest {
    fn of(text: &str) -> Self {
        let is_hex = text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        match u64::from_str_radix(text, 16) {
            Ok(number) if is_hex => Self::Hex(number.to_be_bytes()),
            _ => Self::Text(text.into()),
        }
    }

    fn to_text(&self) -> String {
        match self {
            Self::Hex(bytes) => format!("{:016x}", u64::from_be_bytes(*bytes)),
            Self::Text(text) => text.to_string(),
        }
    }
}

const NOTHING_CONSUMED: InboxMark = InboxMark { offset: -1, appended_at: Timestamp::NEVER };

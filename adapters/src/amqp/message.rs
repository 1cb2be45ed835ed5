//! From a record to a message: which column is what, and how values become properties.

use std::borrow::Cow;

use bytes::Bytes;
use dajet_core::value::parse_datetime;
use dajet_core::{MessageSpec, Record, SystemError, Value};
use jiff::tz::TimeZone;
use lapin::BasicProperties;
use lapin::types::ShortString;

use super::headers::{BLIND_COPY, CARBON_COPY, to_list, to_table};

/// Most bytes of a short text of the protocol.
const SHORT_BYTES_MAX: usize = 255;
/// Most bytes of a message's properties: they travel in one frame, for which the broker offers 128 KiB.
const PROPERTIES_BYTES_MAX: usize = 120 * 1024;

macro_rules! members {
    ($($member:ident),* $(,)?) => {
        /// The parts of a message that a script names.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum Member { $($member),* }

        impl Member {
            const ALL: &[Member] = &[$(Member::$member),*];
            /// Names, in the order of the enum.
            pub(super) const NAMES: &[&str] = &[$(stringify!($member)),*];
        }
    };
}

members!(
    Exchange,
    RoutingKey,
    Mandatory,
    AppId,
    MessageId,
    Type,
    ReplyTo,
    CorrelationId,
    Expiration,
    Body,
    ContentType,
    ContentEncoding,
    DeliveryMode,
    Priority,
    CarbonCopy,
    BlindCopy,
    Headers,
    Timestamp,
);

impl Member {
    /// Finds the member of a name.
    pub(super) fn of(name: &str) -> Option<Self> {
        let index = Self::NAMES.iter().position(|known| *known == name)?;
        Some(Self::ALL[index])
    }

    fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// What the member takes, if `value` is not that. NULL says the same as absence.
    pub(super) fn refuses(self, value: &Value) -> Option<&'static str> {
        let fits = match self {
            _ if value.is_null() => true,
            Member::Body => true,
            Member::Mandatory => boolean(value).is_some(),
            Member::DeliveryMode => number(value).is_some_and(|mode| mode == 1 || mode == 2),
            Member::Priority => number(value).is_some_and(|number| number <= 255),
            Member::Expiration => text(value).is_some_and(|text| {
                text.is_empty()
                    || text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u32>().is_ok()
            }),
            Member::Headers => matches!(value, Value::Object(_)),
            Member::Timestamp => seconds(value).is_some(),
            Member::CarbonCopy | Member::BlindCopy => match value {
                Value::Array(items) => items.iter().all(|item| text(item).is_some()),
                other => text(other).is_some(),
            },
            _ => text(value).is_some_and(|text| text.len() <= SHORT_BYTES_MAX),
        };
        let takes = match self {
            Member::Body => "anything",
            Member::Mandatory => "true, false or a number",
            Member::DeliveryMode => "1 or 2",
            Member::Priority => "a whole number from 0 to 255",
            Member::Expiration => "a whole number of milliseconds",
            Member::Headers => "an object",
            Member::Timestamp => "a datetime from 1970",
            Member::CarbonCopy | Member::BlindCopy => {
                "a list of names divided by commas, or an array"
            }
            _ => "a text of at most 255 bytes",
        };
        (!fits).then_some(takes)
    }
}

/// Names what is too long for most members.
pub(super) fn too_long(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) if text.len() > SHORT_BYTES_MAX => {
            Some(format!("one of {} bytes", text.len()))
        }
        _ => None,
    }
}

/// Where the value of a member comes from.
#[derive(Clone, Debug)]
enum Origin {
    Absent,
    Column(usize),
    Constant(Value),
}

/// The columns of a sink's records. What is given in `WITH` is constant and wins, as in the original.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    origins: Vec<Origin>,
}

impl Columns {
    pub(super) fn new(spec: &MessageSpec) -> Self {
        let mut origins = vec![Origin::Absent; Member::ALL.len()];
        for (index, name) in spec.columns.names.iter().enumerate() {
            if let Some(member) = Member::of(name) {
                origins[member as usize] = Origin::Column(index);
            }
        }
        for (name, value) in &spec.options {
            if let Some(member) = Member::of(name) {
                origins[member as usize] = Origin::Constant(value.clone());
            }
        }
        Self { origins }
    }

    /// The value, `None` also for NULL.
    fn value<'a>(&'a self, member: Member, record: &'a Record) -> Option<&'a Value> {
        let value = match &self.origins[member as usize] {
            Origin::Absent => None,
            Origin::Column(index) => record.get(*index),
            Origin::Constant(value) => Some(value),
        };
        value.filter(|value| !value.is_null())
    }

    /// Makes the message of the record at `index` of its batch.
    ///
    /// # Errors
    /// `Rejected` with the index: a value that a member does not take, no receiver, too many headers.
    pub(super) fn message(&self, index: usize, record: &Record) -> Result<Message, SystemError> {
        self.convert(record).map_err(|(message, hint)| {
            let mut error = SystemError::rejected("E_AMQP", message);
            error.record = Some(index);
            match hint {
                Some(hint) => error.with_hint(hint),
                None => error,
            }
        })
    }

    fn convert(&self, record: &Record) -> Result<Message, Refusal> {
        for member in Member::ALL {
            if let Some(value) = self.value(*member, record)
                && let Some(takes) = member.refuses(value)
            {
                let found = match value {
                    Value::Integer(_) | Value::Boolean(_) => value.to_string(),
                    other => too_long(other).unwrap_or_else(|| other.type_name().to_owned()),
                };
                return Err((
                    format!("{} takes {takes}, not {found}", member.name()),
                    None,
                ));
            }
        }
        let short = |member| self.short(member, record);
        let exchange = short(Member::Exchange).unwrap_or_default();
        let routing_key = short(Member::RoutingKey).unwrap_or_default();
        if exchange.as_str().is_empty() && routing_key.as_str().is_empty() {
            let hint = "RoutingKey is the name of the queue where there is no Exchange.".to_owned();
            return Err((
                "a message has neither Exchange nor RoutingKey".to_owned(),
                Some(hint),
            ));
        }
        Ok(Message {
            exchange,
            routing_key,
            mandatory: self
                .value(Member::Mandatory, record)
                .and_then(boolean)
                .unwrap_or(true),
            properties: self.properties(record)?,
            body: self
                .value(Member::Body, record)
                .map(bytes)
                .unwrap_or_default(),
        })
    }

    fn properties(&self, record: &Record) -> Result<BasicProperties, Refusal> {
        let short = |member| self.short(member, record);
        let mode = self
            .value(Member::DeliveryMode, record)
            .and_then(number)
            .unwrap_or(2);
        let mut made = BasicProperties::default()
            .with_content_type(
                short(Member::ContentType).unwrap_or_else(|| "application/json".into()),
            )
            .with_content_encoding(short(Member::ContentEncoding).unwrap_or_else(|| "UTF-8".into()))
            .with_delivery_mode(mode as u8);
        type With = fn(BasicProperties, ShortString) -> BasicProperties;
        let texts: [(Member, With); 5] = [
            (Member::AppId, BasicProperties::with_app_id),
            (Member::MessageId, BasicProperties::with_message_id),
            (Member::Type, BasicProperties::with_type),
            (Member::ReplyTo, BasicProperties::with_reply_to),
            (Member::CorrelationId, BasicProperties::with_correlation_id),
        ];
        for (member, with) in texts {
            if let Some(text) = short(member) {
                made = with(made, text);
            }
        }
        if let Some(text) = short(Member::Expiration).filter(|text| !text.as_str().is_empty()) {
            made = made.with_expiration(text);
        }
        if let Some(priority) = self.value(Member::Priority, record).and_then(number) {
            made = made.with_priority(priority as u8);
        }
        if let Some(seconds) = self.value(Member::Timestamp, record).and_then(seconds) {
            made = made.with_timestamp(seconds);
        }
        self.with_headers(made, record)
    }

    fn with_headers(
        &self,
        properties: BasicProperties,
        record: &Record,
    ) -> Result<BasicProperties, Refusal> {
        let mut table = match self.value(Member::Headers, record) {
            Some(Value::Object(object)) => to_table(object).map_err(|message| (message, None))?,
            _ => lapin::types::FieldTable::default(),
        };
        for (member, header) in [
            (Member::CarbonCopy, CARBON_COPY),
            (Member::BlindCopy, BLIND_COPY),
        ] {
            if let Some(value) = self.value(member, record) {
                let names = names(value);
                table.insert(header.into(), to_list(names.iter().map(String::as_str)));
            }
        }
        if table.inner().is_empty() {
            return Ok(properties);
        }
        // Far less than this is usual: the exact size is asked for only when it may matter.
        let size: usize = table
            .inner()
            .iter()
            .map(|(name, value)| name.as_str().len() + field_bytes(value))
            .sum();
        if size > PROPERTIES_BYTES_MAX {
            return Err((
                format!("the headers of a message have {size} bytes"),
                Some(format!("The limit is {PROPERTIES_BYTES_MAX} bytes.")),
            ));
        }
        Ok(properties.with_headers(table))
    }

    fn short(&self, member: Member, record: &Record) -> Option<ShortString> {
        ShortString::try_new(text(self.value(member, record)?)?.into_owned()).ok()
    }
}

/// A message, ready to be sent.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) exchange: ShortString,
    pub(super) routing_key: ShortString,
    /// The broker gives it back if no queue takes it.
    pub(super) mandatory: bool,
    pub(super) properties: BasicProperties,
    pub(super) body: Bytes,
}

/// What is wrong with a record, and a hint.
type Refusal = (String, Option<String>);

/// The text form of a scalar.
fn text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Null | Value::Object(_) | Value::Array(_) | Value::Binary(_) => None,
        Value::Text(text) => Some(Cow::Borrowed(text)),
        other => Some(Cow::Owned(other.to_string())),
    }
}

fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Integer(number) => u64::try_from(*number).ok(),
        Value::Text(text) => text.trim().parse().ok(),
        Value::Decimal(number) => number.to_string().parse().ok(),
        _ => None,
    }
}

fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Boolean(value) => Some(*value),
        Value::Text(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::Text(text) if text.eq_ignore_ascii_case("false") => Some(false),
        other => number(other).map(|number| number != 0),
    }
}

fn seconds(value: &Value) -> Option<u64> {
    let time = match value {
        Value::DateTime(time) => *time,
        Value::Text(text) => parse_datetime(text)?,
        _ => return None,
    };
    let at = time.to_zoned(TimeZone::UTC).ok()?.timestamp();
    u64::try_from(at.as_second()).ok()
}

fn bytes(value: &Value) -> Bytes {
    match value {
        Value::Text(text) => text.as_bytes().clone(),
        Value::Binary(bytes) => bytes.clone(),
        other => other.to_string().into(),
    }
}

fn names(value: &Value) -> Vec<String> {
    let text = |value| text(value).unwrap_or_default();
    let all: Vec<String> = match value {
        Value::Array(items) => items.iter().map(|item| text(item).into_owned()).collect(),
        other => text(other).split(',').map(str::to_owned).collect(),
    };
    all.iter()
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .collect()
}

fn field_bytes(value: &lapin::types::AMQPValue) -> usize {
    use lapin::types::AMQPValue;
    6 + match value {
        AMQPValue::LongString(text) => text.len(),
        AMQPValue::ByteArray(bytes) => bytes.as_slice().len(),
        AMQPValue::FieldArray(items) => items.as_slice().iter().map(field_bytes).sum(),
        _ => 8,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dajet_core::{Address, Object, Shape};

    use super::*;

    fn convert(pairs: &[(&str, Value)]) -> Result<Message, SystemError> {
        let spec = MessageSpec {
            address: Address::new("amqp://h"),
            options: Vec::new(),
            columns: Shape::new(pairs.iter().map(|(name, _)| *name)),
        };
        let record = pairs.iter().map(|(_, value)| value.clone()).collect();
        Columns::new(&spec).message(3, &record)
    }

    const QUEUE: (&str, Value) = (
        "RoutingKey",
        Value::Text(bytestring::ByteString::from_static("заказы")),
    );

    #[test]
    fn fills_in_what_is_not_given() {
        let message = convert(&[QUEUE, ("Priority", Value::Null)]).expect("it is valid");
        assert_eq!(message.exchange.as_str(), "");
        assert_eq!(message.routing_key.as_str(), "заказы");
        assert!(message.mandatory && message.body.is_empty());
        let expected = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_content_encoding("UTF-8".into())
            .with_delivery_mode(2);
        assert_eq!(message.properties, expected);
    }

    #[test]
    fn converts_every_member() {
        let headers = Object {
            members: vec![(Arc::from("номер"), Value::Integer(5))],
        };
        let time = Value::DateTime(jiff::civil::date(1970, 1, 1).at(0, 1, 0, 0));
        let message = convert(&[
            ("Exchange", Value::text("обмен")),
            ("Mandatory", Value::Integer(0)),
            ("AppId", Value::Integer(1)),
            ("MessageId", Value::Uuid(uuid::Uuid::nil())),
            ("Type", Value::text("вид")),
            ("ReplyTo", Value::text("ответ")),
            ("CorrelationId", Value::text("связь")),
            ("Expiration", Value::Integer(60_000)),
            ("Body", Value::text("тело")),
            ("ContentType", Value::text("text/plain")),
            ("ContentEncoding", Value::text("identity")),
            ("DeliveryMode", Value::Integer(1)),
            ("Priority", Value::Integer(9)),
            ("CarbonCopy", Value::text("a, b,")),
            ("BlindCopy", Value::Array(vec![Value::text("c")])),
            ("Headers", Value::Object(Box::new(headers))),
            ("Timestamp", time),
        ])
        .expect("it is valid");
        assert!(!message.mandatory);
        assert_eq!(message.body, "тело".as_bytes());
        let made = &message.properties;
        assert_eq!(
            made.message_id().as_ref().map(|id| id.as_str().len()),
            Some(36)
        );
        assert_eq!(
            made.expiration().as_ref().map(ShortString::as_str),
            Some("60000")
        );
        assert_eq!(
            (*made.delivery_mode(), *made.priority()),
            (Some(1), Some(9))
        );
        assert_eq!(*made.timestamp(), Some(60));
        let table = made.headers().as_ref().expect("there are headers").inner();
        let keys: Vec<_> = table.keys().map(ShortString::as_str).collect();
        assert_eq!(keys, ["BCC", "CC", "номер"]);
        assert_eq!(table["CC"], to_list(["a", "b"]));
    }

    #[test]
    fn refuses_what_is_no_message() {
        let refused = |pairs: &[(&str, Value)]| {
            let error = convert(pairs).expect_err("it is refused");
            assert_eq!(error.record, Some(3));
            error.message
        };
        assert_eq!(
            refused(&[]),
            "a message has neither Exchange nor RoutingKey"
        );
        assert_eq!(
            refused(&[QUEUE, ("Priority", Value::Integer(300))]),
            "Priority takes a whole number from 0 to 255, not 300"
        );
        assert_eq!(
            refused(&[QUEUE, ("Expiration", Value::text("скоро"))]),
            "Expiration takes a whole number of milliseconds, not string"
        );
        assert_eq!(
            refused(&[QUEUE, ("Expiration", Value::Integer(4_294_967_296))]),
            "Expiration takes a whole number of milliseconds, not 4294967296"
        );
        assert_eq!(
            refused(&[("RoutingKey", Value::text("я".repeat(128)))]),
            "RoutingKey takes a text of at most 255 bytes, not one of 256 bytes"
        );
        let wide = Object {
            members: vec![("х".into(), Value::text("х".repeat(70_000)))],
        };
        let wide = Value::Object(Box::new(wide));
        assert_eq!(
            refused(&[QUEUE, ("Headers", wide)]),
            "the headers of a message have 140008 bytes"
        );
    }
}

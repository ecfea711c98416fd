/// Declares an operation of the v3 API: request, response, name, [method](super::method), and whether it may be repeated: a
/// [`Repeat`](crate::pipeline::call::Repeat), or a function of the request.
///
/// The request implements `Encode`, the response is declared with `decode!`. `in` names the
/// message that contains the response, if that is another one; for a [`Header`](crate::v3::Header), it is one without other
/// fields. `done if` names the refusal of a repeated request whose earlier attempt was applied. `decoded by` names the method
/// that decodes a response otherwise.
macro_rules! operation {
    ($request:ty => Header, $($rest:tt)+) => {
        $crate::v3::protocol::operation!(
            $request => $crate::v3::Header, in $crate::v3::protocol::header::OnlyHeader, $($rest)+
        );
    };
    (
        $request:ty => $answer:ty $(, in $message:ty)?,
        $name:literal, $method:ident, $repeat:ident $(, $($rest:tt)*)?
    ) => {
        $crate::v3::protocol::operation!(
            $request => $answer $(, in $message)?,
            $name, $method, |_| $crate::pipeline::call::Repeat::$repeat $(, $($rest)*)?
        );
    };
    (
        $request:ty => $answer:ty $(, in $message:ty)?,
        $name:literal, $method:ident, $repeat:expr
        $(, done if $done:expr)? $(, decoded by $decoded:expr)? $(, probed by $probe:expr)?
        $(, confirmed by $confirm:expr)? $(,)?
    ) => {
        impl $crate::operation::Operation for $request {
            type Output = $answer;
            const NAME: &'static str = $name;
        }

        impl $crate::pipeline::exchange::Exchange for $request {
            fn call(&self) -> $crate::pipeline::call::Call {
                use $crate::v3::protocol::{self, message::Encode, method};
                let repeat: fn(&Self) -> $crate::pipeline::call::Repeat = $repeat;
                let call = protocol::call($name, method::$method, repeat(self));
                $crate::pipeline::call::Call {
                    subject: Encode::lease(self),
                    is_read: call.is_read || Encode::is_read(self),
                    reads_keys: call.reads_keys || Encode::is_read(self),
                    ..call.deadline(Encode::deadline(self))
                }
            }

            fn encode(
                &self,
                wire: $crate::endpoints::wire::Wire,
            ) -> $crate::error::Result<$crate::pipeline::exchange::Encoded> {
                use $crate::v3::protocol::{self, method};
                protocol::encode($name, method::$method, wire, self)
            }
            $(
                fn probe(&self) -> Option<$crate::pipeline::probe::Probe> {
                    let probe: fn(&Self) -> $crate::pipeline::probe::Probe = $probe;
                    Some(probe(self))
                }
            )?
            $(
                fn confirmation(
                    &self,
                    answer: &$crate::pipeline::answer::Answer,
                ) -> Option<$crate::pipeline::confirm::Confirmation> {
                    use $crate::pipeline::confirm::Confirmation;
                    let confirm: fn(&Self, $answer) -> Confirmation = $confirm;
                    let success = $crate::v3::protocol::decode_success(answer)?;
                    Some(confirm(self, success))
                }
            )?
        }

        impl $crate::pipeline::exchange::TypedExchange for $request {
            type Decoded = $answer;

            fn decode(
                &self,
                answer: Box<$crate::pipeline::answer::Answer>,
            ) -> $crate::error::Result<$answer> {
                $crate::v3::protocol::operation!(
                    @decode self, answer, ($($message)?), ($($done)?), ($($decoded)?)
                )
            }
        }
    };
    (@decode $this:ident, $answer:ident, (), (), ()) => { $crate::v3::protocol::answer($answer) };
    (@decode $this:ident, $answer:ident, (), (), ($decoded:expr)) => { $decoded($this, $answer) };
    (@decode $this:ident, $answer:ident, ($message:ty), (), ()) => {
        $crate::v3::protocol::answer::<$message>($answer).map(Into::into)
    };
    (@decode $this:ident, $answer:ident, ($message:ty), ($done:expr), ()) => {
        $crate::v3::protocol::answer_or_done::<$message>($answer, $done).map(Into::into)
    };
}

pub(crate) use operation;

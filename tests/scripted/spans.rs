//! Spans and events of the feature `tracing`.

use std::{
    fmt::{Debug, Write},
    sync::{Arc, Mutex},
};

use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};

/// Keeps every event as a line of text: the spans around it, the level if it is a warning, then its fields.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spans(Arc<Mutex<Recorded>>);

#[derive(Debug, Default)]
struct Recorded {
    /// `name{fields}` of every span.
    spans: Vec<String>,
    entered: Vec<usize>,
    lines: Vec<String>,
}

impl Spans {
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().lines.clone()
    }

    /// The warnings, without the spans around them.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let lines = self.lines();
        let warnings = lines.iter().filter_map(|line| line.split_once("WARN "));
        warnings.map(|(_, line)| line.to_owned()).collect()
    }

    /// All spans, with what was recorded until now.
    pub(crate) fn spans(&self) -> Vec<String> {
        self.0.lock().unwrap().spans.clone()
    }
}

impl Subscriber for Spans {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut fields = Fields::default();
        span.record(&mut fields);
        let mut recorded = self.0.lock().unwrap();
        recorded
            .spans
            .push(format!("{}{{{}}}", span.metadata().name(), fields.0));
        Id::from_u64(recorded.spans.len() as u64)
    }

    fn record(&self, id: &Id, record: &Record<'_>) {
        let mut fields = Fields::default();
        record.record(&mut fields);
        let mut recorded = self.0.lock().unwrap();
        let span = &mut recorded.spans[id.into_u64() as usize - 1];
        let before = span.strip_suffix('}').unwrap_or(span);
        *span = format!("{before} {}}}", fields.0);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut recorded = self.0.lock().unwrap();
        let around = recorded
            .entered
            .iter()
            .map(|&id| recorded.spans[id - 1].clone() + ": ");
        let level = match *event.metadata().level() {
            Level::WARN => "WARN ",
            _ => "",
        };
        let line = around.collect::<String>() + level + &fields.0;
        recorded.lines.push(line);
    }

    fn enter(&self, span: &Id) {
        self.0
            .lock()
            .unwrap()
            .entered
            .push(span.into_u64() as usize);
    }

    fn exit(&self, _: &Id) {
        self.0.lock().unwrap().entered.pop();
    }
}

#[derive(Default)]
struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let gap = if self.0.is_empty() { "" } else { " " };
        let _ = write!(self.0, "{gap}{field}={value:?}");
    }
}

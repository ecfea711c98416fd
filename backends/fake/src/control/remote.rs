//! The control of a fake from another process.

use std::{convert::Infallible, io, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body::Body as _;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinSet};

use super::faults::Fault;
use crate::{cluster::when::When, fake::FakeEtcd};

/// The response to `GET /`.
const HELP: &str = r#"POST /advance           {"seconds": 3600}: moves the clock
POST /reset             no data, no faults, an empty log
POST /restart           with the data; open responses break off
POST /fault             {"fault": "break_after", "path": "/v3/kv/put", "times": 1}
DELETE /fault           no faults
POST /lead, /stop, /start, /lag, /catch_up, /isolate    {"member": 1}
POST /heal, /lose_quorum, /regain_quorum, /compact, /exhaust_space, /free_space, /revoke_tokens, /change_cluster_id
GET /dump, POST /load   the data as text
GET /log                the latest requests
"#;

/// How large a request may be: a dump.
const MAX_BODY: usize = 1 << 30;

/// Serves the control of a fake on a listener, until the future is dropped: a test in any language moves the clock, injects
/// faults, and saves or resets the data.
///
/// `GET /` lists the requests. A request that cannot be understood gets status 400 and the reason. Do not let strangers reach
/// this port.
///
/// # Errors
/// When the listener fails.
pub async fn serve_control(etcd: FakeEtcd, listener: TcpListener) -> io::Result<()> {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        while connections.try_join_next().is_some() {}
        let etcd = etcd.clone();
        connections.spawn(async move {
            let service = service_fn(|request| answer(&etcd, request));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // An error ends this connection, and its client sees that.
            let _ = connection.await;
        });
    }
}

async fn answer(
    etcd: &FakeEtcd,
    request: Request<Incoming>,
) -> Result<Response<String>, Infallible> {
    let (head, body) = request.into_parts();
    let done = match collect(body).await {
        Ok(body) => control(etcd, &head.method, head.uri.path(), &body),
        Err(problem) => Err(problem),
    };
    let (status, text) = match done {
        Ok(text) => (StatusCode::OK, text),
        Err(problem) => (StatusCode::BAD_REQUEST, format!("{problem}\n")),
    };
    let mut response = Response::new(text);
    *response.status_mut() = status;
    Ok(response)
}

async fn collect(mut body: Incoming) -> Result<Vec<u8>, String> {
    let mut all = Vec::new();
    while let Some(frame) =
        std::future::poll_fn(|cx| std::pin::Pin::new(&mut body).poll_frame(cx)).await
    {
        let frame = frame.map_err(|error| error.to_string())?;
        let data = frame.into_data().unwrap_or_else(|_| Bytes::new());
        if all.len() + data.len() > MAX_BODY {
            return Err("the request is too large".to_owned());
        }
        all.extend_from_slice(&data);
    }
    Ok(all)
}

/// Does what a request asks; returns the text to respond with.
fn control(etcd: &FakeEtcd, method: &Method, path: &str, body: &[u8]) -> Result<String, String> {
    if path == "/load" && method == Method::POST {
        let dump = std::str::from_utf8(body).map_err(|error| error.to_string())?;
        etcd.load(dump).map_err(|error| error.to_string())?;
        return Ok(String::new());
    }
    let options: Value = match body {
        [] => Value::Null,
        _ => serde_json::from_slice(body).map_err(|error| error.to_string())?,
    };
    match (method, path) {
        (&Method::GET, "/") => return Ok(HELP.to_owned()),
        (&Method::GET, "/dump") => return Ok(etcd.dump()),
        (&Method::GET, "/log") => return Ok(etcd.log_text()),
        (&Method::DELETE, "/fault") => {
            etcd.clear_faults();
            return Ok(String::new());
        }
        (&Method::POST, _) => {}
        _ => return Err(format!("there is no {method} {path}: see GET /")),
    }
    match path {
        "/advance" => etcd.advance(seconds(options.get("seconds"), "seconds")?),
        "/reset" => etcd.reset(),
        "/restart" => etcd.restart(),
        "/fault" => etcd.inject(when(&options)?, fault(&options)?),
        "/heal" => etcd.heal(),
        "/lose_quorum" => etcd.lose_quorum(),
        "/regain_quorum" => etcd.regain_quorum(),
        "/compact" => etcd.compact(),
        "/exhaust_space" => etcd.exhaust_space(),
        "/free_space" => etcd.free_space(),
        "/revoke_tokens" => etcd.revoke_tokens(),
        "/change_cluster_id" => etcd.change_cluster_id(),
        _ => {
            let member = match options.get("member") {
                None => 0,
                Some(member) => whole(member, "member")?,
            };
            let endpoint = etcd.endpoint(member);
            match path {
                "/lead" => endpoint.lead(),
                "/stop" => endpoint.stop(),
                "/start" => endpoint.start(),
                "/lag" => endpoint.lag(),
                "/catch_up" => endpoint.catch_up(),
                "/isolate" => endpoint.isolate(),
                _ => return Err(format!("there is no POST {path}: see GET /")),
            }
        }
    }
    Ok(String::new())
}

/// Which requests a fault affects: all, unless something is said.
fn when(options: &Value) -> Result<When, String> {
    let mut when = match options.get("method").and_then(Value::as_str) {
        Some(method) => When::method(method),
        None => When::any(),
    };
    if let Some(path) = options.get("path").and_then(Value::as_str) {
        when = when.path(path);
    }
    if let Some(member) = options.get("member") {
        when = when.endpoint(whole(member, "member")?);
    }
    let count = |name: &str| {
        options
            .get(name)
            .map(|value| whole(value, name))
            .transpose()
    };
    if let Some(times) = count("times")? {
        when = when.first(times as u64);
    } else if let Some(nth) = count("nth")? {
        when = when.nth(nth as u64);
    } else if let Some(every) = count("every")? {
        when = when.every(every as u64);
    } else if let Some(chance) = options.get("chance").and_then(Value::as_f64) {
        when = when.with_chance(chance);
    }
    Ok(when)
}

/// A fault by its name. What takes a time or a number has it in a field of that name.
fn fault(options: &Value) -> Result<Fault, String> {
    let name = options.get("fault").and_then(Value::as_str);
    let name = name.ok_or("a fault is missing, like {\"fault\": \"break_after\"}")?;
    let time = || seconds(options.get("seconds"), "seconds");
    let number = |name: &str| {
        let value = options
            .get(name)
            .ok_or_else(|| format!("{name} is missing"))?;
        whole(value, name)
    };
    Ok(match name {
        "refuse" => Fault::refuse(),
        "break_before" => Fault::break_before(),
        "break_after" => Fault::break_after(),
        "silence" => Fault::silence(),
        "silence_after" => Fault::silence_after(),
        "delay" => Fault::delay(time()?),
        "delay_response" => Fault::delay_response(time()?),
        "delay_events" => Fault::delay_events(time()?),
        "break_body" => Fault::break_body(number("bytes")?),
        "break_after_events" => Fault::break_after_events(number("events")?),
        "silence_after_events" => Fault::silence_after_events(number("events")?),
        "status" => {
            let status = u16::try_from(number("status")?).map_err(|error| error.to_string())?;
            Fault::status(status)
        }
        _ => return Err(format!("there is no fault {name}")),
    })
}

fn seconds(value: Option<&Value>, name: &str) -> Result<Duration, String> {
    let seconds = value.and_then(Value::as_f64);
    let seconds = seconds.ok_or_else(|| format!("{name} is not a number"))?;
    Duration::try_from_secs_f64(seconds).map_err(|error| format!("{name}: {error}"))
}

fn whole(value: &Value, name: &str) -> Result<usize, String> {
    let number = value
        .as_u64()
        .and_then(|number| usize::try_from(number).ok());
    number.ok_or_else(|| format!("{name} is not a whole number"))
}

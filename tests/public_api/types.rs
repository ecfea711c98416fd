//! Types as Rust writes them, of what rustdoc says of them.

use serde_json::Value;

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list<'a>(value: &'a Value, each: impl Fn(&'a Value) -> String, between: &str) -> String {
    let elements = value.as_array().into_iter().flatten();
    elements.map(each).collect::<Vec<_>>().join(between)
}

/// A type.
pub(crate) fn type_(of: &Value) -> String {
    let Some((kind, inner)) = of.as_object().and_then(|it| it.iter().next()) else {
        return if of == "infer" { "_" } else { "()" }.to_owned();
    };
    match kind.as_str() {
        "resolved_path" => trait_path(inner),
        "generic" | "primitive" => text(inner).to_owned(),
        "tuple" => format!("({})", list(inner, type_, ", ")),
        "slice" => format!("[{}]", type_(inner)),
        "array" => format!("[{}; {}]", type_(&inner["type"]), text(&inner["len"])),
        "impl_trait" => format!("impl {}", bounds(inner)),
        "dyn_trait" => {
            let traits = list(&inner["traits"], |it| trait_path(&it["trait"]), " + ");
            format!("dyn {traits}{}", after(" + ", text(&inner["lifetime"])))
        }
        "borrowed_ref" => {
            let lifetime = text(&inner["lifetime"]);
            let space = if lifetime.is_empty() { "" } else { " " };
            let mutable = if inner["is_mutable"] == true {
                "mut "
            } else {
                ""
            };
            format!("&{lifetime}{space}{mutable}{}", type_(&inner["type"]))
        }
        "qualified_path" => {
            let of = type_(&inner["self_type"]);
            let name = text(&inner["name"]);
            match trait_path(&inner["trait"]) {
                path if path.is_empty() => format!("{of}::{name}"),
                path => format!("<{of} as {path}>::{name}"),
            }
        }
        "function_pointer" => {
            let sig = &inner["sig"];
            let inputs = list(&sig["inputs"], |it| type_(&it[1]), ", ");
            format!("fn({inputs}){}", output(&sig["output"]))
        }
        other => format!("{other} {inner}"),
    }
}

/// A path with its arguments.
pub(crate) fn trait_path(path: &Value) -> String {
    let name = text(&path["path"]);
    let name = name.rsplit("::").next().unwrap_or_default();
    format!("{name}{}", arguments(&path["args"]))
}

fn arguments(args: &Value) -> String {
    let called = &args["parenthesized"];
    if !called.is_null() {
        let inputs = list(&called["inputs"], type_, ", ");
        return format!("({inputs}){}", output(&called["output"]));
    }
    let given = &args["angle_bracketed"];
    let types = list(&given["args"], argument, ", ");
    let constraints = list(&given["constraints"], constraint, ", ");
    match (types.is_empty(), constraints.is_empty()) {
        (true, true) => String::new(),
        (false, false) => format!("<{types}, {constraints}>"),
        _ => format!("<{types}{constraints}>"),
    }
}

fn argument(argument: &Value) -> String {
    match argument.as_object().and_then(|it| it.iter().next()) {
        Some((kind, inner)) if kind == "type" => type_(inner),
        Some((kind, inner)) if kind == "lifetime" => text(inner).to_owned(),
        Some((_, inner)) => text(&inner["expr"]).to_owned(),
        None => "_".to_owned(),
    }
}

fn constraint(of: &Value) -> String {
    let name = text(&of["name"]);
    let equal = &of["binding"]["equality"]["type"];
    if equal.is_null() {
        format!("{name}: {}", bounds(&of["binding"]["constraint"]))
    } else {
        format!("{name} = {}", type_(equal))
    }
}

/// What a parameter has to be.
pub(crate) fn bounds(of: &Value) -> String {
    list(of, bound, " + ")
}

fn bound(of: &Value) -> String {
    let bound = &of["trait_bound"];
    if !bound.is_null() {
        let modifier = if bound["modifier"] == "maybe" {
            "?"
        } else {
            ""
        };
        return format!("{modifier}{}", trait_path(&bound["trait"]));
    }
    match &of["use"] {
        Value::Null => text(&of["outlives"]).to_owned(),
        captured => format!(
            "use<{}>",
            list(
                captured,
                |it| text(&it["param"]).to_owned() + text(&it["lifetime"]),
                ", "
            )
        ),
    }
}

/// The parameters, in brackets, if there are any. Those of `impl Trait` are none.
pub(crate) fn generics(of: &Value) -> String {
    let params = of["params"].as_array().into_iter().flatten();
    let params = params.filter(|it| it["kind"]["type"]["is_synthetic"] != true);
    let params: Vec<String> = params
        .map(|param| {
            let kind = &param["kind"];
            let default = &kind["type"]["default"];
            let default = if default.is_null() {
                String::new()
            } else {
                format!(" = {}", type_(default))
            };
            let bounds = bounds(&kind["type"]["bounds"]);
            format!("{}{}{default}", text(&param["name"]), after(": ", &bounds))
        })
        .collect();
    if params.is_empty() {
        return String::new();
    }
    format!("<{}>", params.join(", "))
}

/// The `where` clause, if there is one.
pub(crate) fn where_clause(of: &Value) -> String {
    let predicates = list(
        &of["where_predicates"],
        |it| {
            let bound = &it["bound_predicate"];
            if bound.is_null() {
                it.to_string()
            } else {
                format!("{}: {}", type_(&bound["type"]), bounds(&bound["bounds"]))
            }
        },
        ", ",
    );
    after(" where ", &predicates)
}

/// Parameters, arguments and output of a function.
pub(crate) fn signature(function: &Value) -> String {
    let sig = &function["sig"];
    let inputs = list(
        &sig["inputs"],
        |it| format!("{}: {}", text(&it[0]), type_(&it[1])),
        ", ",
    );
    let header = &function["header"];
    let mut kinds = String::new();
    for (flag, word) in [
        ("is_const", "const"),
        ("is_async", "async"),
        ("is_unsafe", "unsafe"),
    ] {
        if header[flag] == true {
            kinds += " ";
            kinds += word;
        }
    }
    let parameters = generics(&function["generics"]);
    let clause = where_clause(&function["generics"]);
    let kinds = after(" //", &kinds);
    format!(
        "{parameters}({inputs}){}{clause}{kinds}",
        output(&sig["output"])
    )
}

fn output(of: &Value) -> String {
    if of.is_null() {
        return String::new();
    }
    format!(" -> {}", type_(of))
}

fn after(before: &str, text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    format!("{before}{text}")
}

#[test]
fn types_are_written_as_in_rust() {
    let path = |name: &str, args: Value| serde_json::json!({"resolved_path": {"path": name, "args": args}});
    let of = |it: Value| serde_json::json!({"angle_bracketed": {"args": [{"type": it}], "constraints": []}});
    let bytes = serde_json::json!({"slice": {"primitive": "u8"}});
    let borrowed =
        serde_json::json!({"borrowed_ref": {"lifetime": "'a", "is_mutable": true, "type": bytes}});
    assert_eq!(type_(&borrowed), "&'a mut [u8]");
    let nested = path("std::vec::Vec", of(path("Option", of(borrowed))));
    assert_eq!(type_(&nested), "Vec<Option<&'a mut [u8]>>");
    let bound = serde_json::json!([{"trait_bound": {"modifier": "none", "trait": {"path": "Into", "args": of(nested)}}}]);
    let function = serde_json::json!({
        "sig": {"inputs": [["self", {"generic": "Self"}], ["it", {"impl_trait": bound}]], "output": {"tuple": []}},
        "generics": {"params": [], "where_predicates": []},
        "header": {"is_async": true},
    });
    let text = "(self: Self, it: impl Into<Vec<Option<&'a mut [u8]>>>) -> () // async";
    assert_eq!(signature(&function), text);
}

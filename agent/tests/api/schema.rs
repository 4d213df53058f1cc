//! As much of JSON Schema as `docs/openapi.json` uses; a word that is not known here is an error.

use serde_json::Value;

/// Why `value` is not what `schema` says.
pub(crate) fn judge(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let schema = resolve(document, schema);
    let words = schema.as_object().ok_or("a schema is an object")?;
    for (word, rule) in words {
        match word.as_str() {
            "description" | "properties" | "default" | "contentMediaType" => {}
            "type" => expect(is_of(rule.as_str().unwrap_or_default(), value), word, value)?,
            "const" => expect(rule == value, word, value)?,
            "enum" => expect(rule.as_array().unwrap().contains(value), word, value)?,
            "minimum" => expect(value.as_u64() >= rule.as_u64(), word, value)?,
            "maximum" => expect(value.as_u64() <= rule.as_u64(), word, value)?,
            "minItems" => expect(length(value) >= rule.as_u64(), word, value)?,
            "maxItems" => expect(length(value) <= rule.as_u64(), word, value)?,
            "required" => {
                for name in rule.as_array().unwrap() {
                    let name = name.as_str().unwrap();
                    value
                        .get(name)
                        .ok_or(format!("{name} is missing in {value}"))?;
                }
            }
            "additionalProperties" => members(document, schema, rule, value)?,
            "items" => {
                for item in value.as_array().into_iter().flatten() {
                    judge(document, rule, item)?;
                }
            }
            "oneOf" => {
                let tried = rule.as_array().unwrap().iter();
                let tried: Vec<_> = tried.map(|one| judge(document, one, value)).collect();
                let fitting = tried.iter().filter(|outcome| outcome.is_ok()).count();
                if fitting != 1 {
                    return Err(format!("{fitting} of oneOf fit {value}: {tried:?}"));
                }
            }
            other => return Err(format!("the schema word {other} is not known to this test")),
        }
    }
    // Without additionalProperties the named ones are judged all the same.
    members(document, schema, &Value::Bool(true), value)
}

pub(crate) fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema.get("$ref").and_then(Value::as_str) {
        Some(path) => document.pointer(path.trim_start_matches('#')).unwrap(),
        None => schema,
    }
}

fn members(document: &Value, schema: &Value, others: &Value, value: &Value) -> Result<(), String> {
    for (name, member) in value.as_object().into_iter().flatten() {
        match (schema["properties"].get(name), others) {
            (Some(rule), _) => {
                judge(document, rule, member).map_err(|why| format!("{name}: {why}"))?
            }
            (None, Value::Bool(true)) => {}
            (None, Value::Object(_)) => judge(document, others, member)?,
            (None, _) => return Err(format!("{name} is not documented in {value}")),
        }
    }
    Ok(())
}

fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => false,
    }
}

fn length(value: &Value) -> Option<u64> {
    value.as_array().map(|items| items.len() as u64)
}

fn expect(fits: bool, word: &str, value: &Value) -> Result<(), String> {
    if fits {
        Ok(())
    } else {
        Err(format!("{word} does not fit {value}"))
    }
}

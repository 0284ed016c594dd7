//! The shape of a payload: its fields and their types.

use std::collections::BTreeSet;

use serde_json::Value;

/// The path of each field with the JSON type of its value, such as `tags[]: string`.
pub(super) type Shape = BTreeSet<String>;

/// Returns the shape of a payload.
pub(super) fn shape_of(payload: &Value) -> Shape {
    let mut shape = Shape::new();
    collect("", payload, &mut shape);
    shape
}

fn collect(path: &str, value: &Value, shape: &mut Shape) {
    if !path.is_empty() {
        shape.insert(format!("{path}: {}", type_of(value)));
    }
    match value {
        Value::Object(fields) => {
            let dot = if path.is_empty() { "" } else { "." };
            for (name, value) in fields {
                collect(&format!("{path}{dot}{name}"), value, shape);
            }
        }
        Value::Array(items) => {
            for item in items {
                collect(&format!("{path}[]"), item, shape);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::shape_of;

    #[test]
    fn every_field_has_a_path_and_a_type() {
        let payload = json!({
            "type": "sent",
            "to": {"name": "Ada", "age": 36},
            "parcels": [{"id": 1, "gift": true}, {"id": 2, "note": null}],
            "tags": [],
        });
        let shape: Vec<_> = shape_of(&payload).into_iter().collect();
        let expected = [
            "parcels: array",
            "parcels[].gift: boolean",
            "parcels[].id: number",
            "parcels[].note: null",
            "parcels[]: object",
            "tags: array",
            "to.age: number",
            "to.name: string",
            "to: object",
            "type: string",
        ];
        assert_eq!(shape, expected);
    }
}

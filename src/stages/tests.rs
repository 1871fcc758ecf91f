//! The table of kinds as a whole.
use toml::de::DeTable;

use crate::stages::KINDS;

#[test]
fn kinds_are_sorted_and_describe_themselves() {
    assert!(KINDS.is_sorted_by(|a, b| a.name < b.name));
    for kind in KINDS {
        let schema = (kind.schema)().to_value();
        let parameters = schema["properties"].as_object().unwrap();
        for role in kind.roles {
            assert!(
                parameters.contains_key(role.param),
                "{} {}",
                kind.name,
                role.param
            );
        }
        for (name, parameter) in parameters {
            let described = parameter.get("description").is_some();
            let named = parameter.get("$ref").is_some() || parameter.get("anyOf").is_some();
            assert!(
                described || named,
                "{}: `{name}` has no description",
                kind.name
            );
        }
        let outputs = !kind.ports.outputs.is_empty();
        assert!(outputs != kind.open.is_some(), "{}", kind.name);
    }
}

#[test]
fn parameters_read_from_a_pipeline_with_their_faults() {
    let parse = |kind: &str, text: &str| {
        let kind = KINDS.iter().find(|row| row.name == kind).unwrap();
        let table = DeTable::parse(text).unwrap();
        let span = table.span();
        let value = toml::de::DeValue::Table(table.into_inner());
        (kind.parse)(toml::Spanned::new(span, value)).map(|action| action.params())
    };
    let scores = parse("scores", "ladder = \"step\"\ngroup = \"inf\"\nalpha = 2.0").unwrap();
    assert_eq!(
        scores,
        serde_json::json!({
            "ladder": "step", "advantage": "group-norm", "group": "inf", "hidden": "post",
            "vocab": "full", "alpha": 2.0, "departures": 2
        })
    );
    assert_eq!(
        parse("scores", "ladder = \"step\"\nalpha = 0")
            .unwrap_err()
            .param,
        Some("alpha")
    );
    assert!(
        parse("scores", "")
            .unwrap_err()
            .message
            .contains("missing field `ladder`")
    );
    let unknown = parse("impact", "ladder = \"step\"\nbudget = \"k\"").unwrap_err();
    assert!(
        unknown.message.contains("unknown field `budget`"),
        "{}",
        unknown.message
    );
    assert!(unknown.span.is_some());
    let score = parse("fit-affine", "score = \"literal-eq28\"").unwrap();
    assert_eq!(score, serde_json::json!({"score": "literal-eq28"}));
}

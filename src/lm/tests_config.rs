//! `config.json` of every family: what is read, what is refused and how.
use serde_json::{Value, json};

use super::Config;

fn text(edit: impl Fn(&mut Value)) -> String {
    let mut value = json!({
        "model_type": "olmo2", "hidden_size": 64, "num_hidden_layers": 3,
        "num_attention_heads": 4, "intermediate_size": 160, "vocab_size": 264,
        "rms_norm_eps": 1e-6, "rope_theta": 500_000.0, "max_position_embeddings": 128,
        "eos_token_id": [260, 261],
    });
    edit(&mut value);
    value.to_string()
}

/// As of SmolLM2.
fn llama(edit: impl Fn(&mut Value)) -> String {
    text(|v| {
        v["model_type"] = json!("llama");
        v["num_key_value_heads"] = json!(2);
        v["rope_interleaved"] = json!(false);
        v["tie_word_embeddings"] = json!(true);
        edit(v);
    })
}

/// As of Pythia.
fn neox(edit: impl Fn(&mut Value)) -> String {
    let mut value = json!({
        "model_type": "gpt_neox", "hidden_size": 64, "num_hidden_layers": 3,
        "num_attention_heads": 4, "intermediate_size": 160, "vocab_size": 264,
        "layer_norm_eps": 1e-5, "rotary_emb_base": 10_000, "rotary_pct": 0.25,
        "max_position_embeddings": 128, "use_parallel_residual": true,
        "hidden_act": "gelu", "eos_token_id": 0,
    });
    edit(&mut value);
    value.to_string()
}

fn fault_of(text: &str) -> String {
    format!("{:#}", Config::parse(text).unwrap_err())
}

fn fault(edit: impl Fn(&mut Value)) -> String {
    fault_of(&text(edit))
}

#[test]
fn round_trips() {
    let config = Config::parse(&text(|_| {})).unwrap();
    assert_eq!(config.num_key_value_heads, 4);
    assert_eq!(config.eos_token_id, Some(260));
    let wide = llama(|v| v["head_dim"] = json!(24));
    let tanh = neox(|v| v["hidden_act"] = json!("gelu_new"));
    for text in [text(|_| {}), llama(|_| {}), wide, neox(|_| {}), tanh] {
        let config = Config::parse(&text).unwrap();
        assert_eq!(Config::parse(&config.to_json()).unwrap(), config);
        assert_eq!(config.to_json(), config.clone().to_json());
    }
}

#[test]
fn the_file_of_a_pretrained_ladder_stays_as_it_was() {
    let written = Config::parse(&text(|_| {})).unwrap().to_json();
    assert!(
        written.starts_with("{\n  \"architectures\": [\n    \"Olmo2ForCausalLM\"\n  ],\n  \"attention_bias\": false,\n  \"attention_dropout\": 0.0,"),
        "{written}"
    );
    let value: Value = serde_json::from_str(&written).unwrap();
    assert_eq!(value.as_object().unwrap().len(), 22);
}

#[test]
fn transformers_5_spelling() {
    let rope =
        json!({ "rope_theta": 10_000.0, "rope_type": "default", "partial_rotary_factor": 0.5 });
    let config = Config::parse(&text(|v| {
        v["rope_theta"] = Value::Null;
        v["rope_parameters"] = rope.clone();
    }));
    assert_eq!(config.unwrap().rope_theta, 10_000.0);
    let config = Config::parse(&neox(|v| {
        v["rotary_pct"] = Value::Null;
        v["rope_parameters"] = rope.clone();
    }))
    .unwrap();
    assert_eq!((config.rotated(), config.rope_theta), (8, 10_000.0));
    assert_eq!(
        fault(|v| v["rope_parameters"] = rope.clone()),
        "`rope_theta` is 500000, but `rope_parameters.rope_theta` is 10000"
    );
}

#[test]
fn what_files_leave_out_is_transformers_default() {
    let amber = Config::parse(&llama(|v| v["rope_theta"] = Value::Null)).unwrap();
    assert_eq!((amber.rope_theta, amber.head_dim), (10_000.0, 16));
    let pythia = Config::parse(&neox(|v| {
        for name in [
            "rotary_emb_base",
            "rotary_pct",
            "use_parallel_residual",
            "hidden_act",
        ] {
            v[name] = Value::Null;
        }
    }));
    assert_eq!(pythia.unwrap(), Config::parse(&neox(|_| {})).unwrap());
    let scaling = llama(|v| v["rope_scaling"] = json!({ "type": "default" }));
    assert!(Config::parse(&scaling).is_ok());
}

#[test]
fn faults_say_what_and_what_is_allowed() {
    assert_eq!(
        fault(|v| v["model_type"] = json!("mistral")),
        "`model_type` is `mistral`; supported: `olmo2`, `llama`, `gpt_neox`"
    );
    assert_eq!(
        fault(|v| v["model_type"] = json!(7)),
        "`model_type` is missing; supported: `olmo2`, `llama`, `gpt_neox`"
    );
    assert_eq!(
        fault(|v| v["num_attention_heads"] = json!(5)),
        "`hidden_size` 64 is not a multiple of `num_attention_heads` 5"
    );
    assert_eq!(
        fault(|v| v["num_attention_heads"] = json!(0)),
        "`num_attention_heads` is 0; allowed: 1 to 1048576"
    );
    assert_eq!(
        fault(|v| v["num_key_value_heads"] = json!(3)),
        "`num_attention_heads` 4 is not a multiple of `num_key_value_heads` 3"
    );
    assert_eq!(
        fault(|v| v["num_attention_heads"] = json!(64)),
        "a head of 1 is odd: rotary positions need pairs"
    );
    assert_eq!(
        fault(|v| v["head_dim"] = json!(8)),
        "`head_dim` is 8; supported: hidden_size / num_attention_heads = 16"
    );
    assert_eq!(
        fault(|v| v["vocab_size"] = json!(0)),
        "`vocab_size` is 0; allowed: 1 to 16777216"
    );
    assert_eq!(
        fault(|v| v["num_hidden_layers"] = json!(1u64 << 40)),
        "`num_hidden_layers` is 1099511627776; allowed: 1 to 4096"
    );
    assert_eq!(
        fault(|v| v["rms_norm_eps"] = json!(-1.0)),
        "`rms_norm_eps` is -1; it must be positive"
    );
    assert_eq!(
        fault(|v| v["rms_norm_eps"] = Value::Null),
        "`rms_norm_eps` is missing"
    );
    assert_eq!(
        fault(|v| v["hidden_act"] = json!("gelu")),
        "`hidden_act` is `gelu`; supported: `silu`"
    );
    assert_eq!(
        fault(|v| v["rope_scaling"] = json!({ "type": "yarn" })),
        "scaled rotary positions (`rope_scaling`) are not supported"
    );
    assert_eq!(
        fault(|v| v["rope_theta"] = Value::Null),
        "`rope_theta` is missing"
    );
}

#[test]
fn what_a_family_does_not_compute_is_refused() {
    for (name, text) in [
        (
            "attention_bias",
            llama(|v| v["attention_bias"] = json!(true)),
        ),
        ("mlp_bias", llama(|v| v["mlp_bias"] = json!(true))),
        (
            "rope_interleaved",
            llama(|v| v["rope_interleaved"] = json!(true)),
        ),
    ] {
        assert_eq!(fault_of(&text), format!("`{name}` is not supported"));
    }
    let rope = json!({ "rope_theta": 500_000.0, "rope_type": "llama3", "factor": 8.0 });
    assert_eq!(
        fault_of(&llama(|v| v["rope_parameters"] = rope.clone())),
        "scaled rotary positions (`rope_parameters`) are not supported"
    );
    assert_eq!(
        fault_of(&llama(|v| v["head_dim"] = json!(1u64 << 32))),
        "`head_dim` is 4294967296; allowed: 1 to 1048576"
    );
    assert_eq!(
        fault_of(&llama(|v| v["head_dim"] = json!(0))),
        "`head_dim` is 0; allowed: 1 to 1048576"
    );
    assert_eq!(
        fault_of(&neox(|v| v["attention_bias"] = json!(false))),
        "`attention_bias` = false is not supported"
    );
    assert_eq!(
        fault_of(&neox(|v| v["hidden_act"] = json!("relu"))),
        "`hidden_act` is `relu`; supported: `gelu`, `gelu_new`, `gelu_fast`, `gelu_pytorch_tanh`"
    );
    for (pct, columns) in [(0.2, 3), (0.01, 0), (1.5, 24), (-1.0, 0)] {
        assert_eq!(
            fault_of(&neox(|v| v["rotary_pct"] = json!(pct))),
            format!(
                "`rotary_pct` {pct} of a head of 16 is {columns} columns: rotary positions need pairs"
            )
        );
    }
    assert_eq!(
        fault_of(&neox(|v| v["layer_norm_eps"] = json!(0.0))),
        "`layer_norm_eps` is 0; it must be positive"
    );
    assert_eq!(
        fault_of(&neox(|v| v["num_key_value_heads"] = json!(2))),
        "`num_key_value_heads` is 2; supported: num_attention_heads = 4"
    );
}

//! Model folders in every accepted form, and each fault by its exact message.
use std::{collections::BTreeMap, fs, path::Path};

use candle_core::{DType, Device, Tensor};
use tempfile::TempDir;

use super::{
    Files, Model,
    tests_compare::{FAMILIES, assert_close, fixture, open_folder, open_model, tiny_model},
};

const NAME: &str = "model.layers.1.mlp.up_proj.weight";

type Tensors = BTreeMap<String, Tensor>;

fn load(folder: &Path) -> anyhow::Result<Model> {
    Model::load(&Files::of_folder(folder)?, &Device::Cpu, DType::F32)
}

fn fault(folder: &Path) -> String {
    format!("{:#}", load(folder).err().unwrap())
}

/// A folder with the fixture's config and no weights.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(
        open_folder().join("config.json"),
        folder.path().join("config.json"),
    )
    .unwrap();
    folder
}

fn open_tensors() -> Tensors {
    open_model(DType::F32).snapshot().unwrap()
}

fn write(tensors: &Tensors, path: &Path) {
    let tensors = tensors.clone().into_iter().collect();
    candle_core::safetensors::save(&tensors, path).unwrap();
}

fn same_weights(got: &Model, expected: &Tensors, tolerance: f64) {
    let pairs: Vec<_> = (got.parameters().iter())
        .map(|(name, var)| {
            (
                name.clone(),
                var.as_tensor().clone(),
                expected[name].clone(),
            )
        })
        .collect();
    assert_close(&pairs, tolerance);
}

#[test]
fn saving_gives_the_same_bytes_and_loads_back() {
    let model = open_model(DType::F32);
    let (first, second) = (folder(), folder());
    model.save(first.path()).unwrap();
    let loaded = load(first.path()).unwrap();
    loaded.save(second.path()).unwrap();
    assert_eq!(loaded.config(), model.config());
    same_weights(&loaded, &open_tensors(), 0.0);
    for name in ["config.json", "model.safetensors"] {
        let read = |folder: &TempDir| fs::read(folder.path().join(name)).unwrap();
        assert!(read(&first) == read(&second), "{name} differs");
    }
    // another reader of the format agrees
    let bytes = fs::read(first.path().join("model.safetensors")).unwrap();
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    assert_eq!(header.metadata().as_ref().unwrap()["format"], "pt");
    assert_eq!(header.tensors().len(), 36);
}

#[test]
fn a_tied_model_has_no_head_of_its_own() {
    for family in FAMILIES {
        let model = tiny_model(family, true);
        let folder = folder();
        model.save(folder.path()).unwrap();
        let loaded = load(folder.path()).unwrap();
        assert_eq!(loaded.config(), model.config());
        same_weights(&loaded, &model.snapshot().unwrap(), 0.0);
        for head in ["lm_head.weight", "embed_out.weight"] {
            assert!(!loaded.parameters().contains_key(head));
        }
        let (head, embedding) = (loaded.head_weight(), loaded.embedding_weight());
        assert_close(
            &[("head".to_owned(), head.unwrap(), embedding.unwrap())],
            0.0,
        );
    }
}

/// A fixture's folder with other tensors, and what loading it says.
fn edited(name: &str, edit: impl Fn(&mut Tensors)) -> anyhow::Result<Model> {
    let folder = tempfile::tempdir().unwrap();
    let from = fixture(name);
    fs::copy(from.join("config.json"), folder.path().join("config.json")).unwrap();
    let mut tensors = load(&from).unwrap().snapshot().unwrap();
    edit(&mut tensors);
    write(&tensors, &folder.path().join("model.safetensors"));
    load(folder.path())
}

fn zeros(tensors: &mut Tensors, name: &str, shape: &[usize]) {
    let zeros = Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
    tensors.insert(name.to_owned(), zeros);
}

#[test]
fn buffers_of_older_versions_are_let_pass_and_other_tensors_are_not() {
    edited("gpt_neox/parallel", |tensors| {
        for l in 0..3 {
            let attention = format!("gpt_neox.layers.{l}.attention");
            zeros(tensors, &format!("{attention}.bias"), &[1, 1, 64, 64]);
            zeros(tensors, &format!("{attention}.masked_bias"), &[]);
            zeros(tensors, &format!("{attention}.rotary_emb.inv_freq"), &[2]);
        }
    })
    .unwrap();
    edited("llama/untied", |tensors| {
        let name = "model.layers.0.self_attn.rotary_emb.inv_freq";
        zeros(tensors, name, &[4]);
    })
    .unwrap();
    for (folder, name, family) in [
        (
            "llama/tied",
            "model.layers.0.self_attn.q_proj.bias",
            "llama",
        ),
        ("llama/untied", "model.layers.3.mlp.up_proj.weight", "llama"),
        ("open", "model.layers.0.attention.bias", "olmo2"),
        ("gpt_neox/sequential", "lm_head.weight", "gpt_neox"),
    ] {
        let fault = edited(folder, |tensors| zeros(tensors, name, &[4]));
        assert_eq!(
            format!("{:#}", fault.err().unwrap()),
            format!(
                "`model.safetensors`: tensor `{name}` is no parameter of a `{family}` model of this config"
            )
        );
    }
}

#[test]
fn a_head_beside_the_embedding_that_it_is_tied_to() {
    let with = |factor: f64| {
        edited("llama/tied", |tensors| {
            let head = (&tensors["model.embed_tokens.weight"] * factor).unwrap();
            tensors.insert("lm_head.weight".to_owned(), head);
        })
    };
    assert!(
        !with(1.0)
            .unwrap()
            .parameters()
            .contains_key("lm_head.weight")
    );
    assert_eq!(
        format!("{:#}", with(2.0).err().unwrap()),
        "`lm_head.weight` differs from `model.embed_tokens.weight`, though `tie_word_embeddings` is true"
    );
}

#[test]
fn a_config_that_lies_about_sizes_is_an_error() {
    let lie = |folder: &str, name: &str, value: u64| {
        let from = fixture(folder);
        let lying = tempfile::tempdir().unwrap();
        let text = fs::read_to_string(from.join("config.json")).unwrap();
        let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
        config[name] = value.into();
        fs::write(lying.path().join("config.json"), config.to_string()).unwrap();
        let weights = "model.safetensors";
        fs::copy(from.join(weights), lying.path().join(weights)).unwrap();
        fault(lying.path())
    };
    let q = "model.layers.0.self_attn.q_proj.weight";
    assert_eq!(
        lie("llama/tied", "head_dim", 1 << 20),
        format!(
            "`model.safetensors`: tensor `{q}` has shape [48, 32]; the config asks for [4194304, 32]"
        )
    );
    assert_eq!(
        lie("llama/tied", "num_hidden_layers", 2),
        "`model.safetensors`: tensor `model.layers.2.input_layernorm.weight` is no parameter of a `llama` model of this config"
    );
    assert_eq!(
        lie("gpt_neox/parallel", "num_hidden_layers", 4096),
        "`model.safetensors`: tensor `gpt_neox.layers.3.input_layernorm.weight` is missing"
    );
    assert_eq!(
        lie("gpt_neox/parallel", "vocab_size", 1 << 24),
        "`model.safetensors`: tensor `gpt_neox.embed_in.weight` has shape [264, 32]; the config asks for [16777216, 32]"
    );
    assert_eq!(
        lie("gpt_neox/parallel", "hidden_size", 1 << 40),
        "`config.json`: `hidden_size` is 1099511627776; allowed: 1 to 1048576"
    );
}

#[test]
fn shards_and_half_precision() {
    let tensors = open_tensors();
    // bf16 keeps 8 bits, f16 11; weights are below 8
    for (dtype, tolerance) in [(DType::BF16, 2e-2), (DType::F16, 2e-3), (DType::F32, 0.0)] {
        let folder = folder();
        let mut shards = [Tensors::new(), Tensors::new()];
        let mut map = serde_json::Map::new();
        for (i, (name, tensor)) in tensors.iter().enumerate() {
            let shard = i % 2;
            shards[shard].insert(name.clone(), tensor.to_dtype(dtype).unwrap());
            map.insert(name.clone(), format!("model-{shard}.safetensors").into());
        }
        for (i, shard) in shards.iter().enumerate() {
            write(shard, &folder.path().join(format!("model-{i}.safetensors")));
        }
        let index = serde_json::json!({ "metadata": {}, "weight_map": map });
        let path = folder.path().join("model.safetensors.index.json");
        fs::write(path, index.to_string()).unwrap();
        same_weights(&load(folder.path()).unwrap(), &tensors, tolerance);
    }
}

#[test]
fn faults_in_the_weights() {
    let with = |edit: &dyn Fn(&mut Tensors)| {
        let folder = folder();
        let mut tensors = open_tensors();
        edit(&mut tensors);
        write(&tensors, &folder.path().join("model.safetensors"));
        fault(folder.path())
    };
    assert_eq!(
        with(&|tensors| {
            tensors.remove(NAME);
        }),
        format!("`model.safetensors`: tensor `{NAME}` is missing")
    );
    assert_eq!(
        with(&|tensors| {
            let t = tensors[NAME].narrow(0, 0, 159).unwrap();
            tensors.insert(NAME.to_owned(), t);
        }),
        format!(
            "`model.safetensors`: tensor `{NAME}` has shape [159, 64]; the config asks for [160, 64]"
        )
    );
    assert_eq!(
        with(&|tensors| {
            let mut values = vec![0f32; 64];
            (values[3], values[9]) = (f32::NAN, f32::INFINITY);
            let t = Tensor::from_vec(values, 64, &Device::Cpu).unwrap();
            tensors.insert("model.norm.weight".to_owned(), t);
        }),
        "`model.safetensors`: tensor `model.norm.weight` holds 2 of 64 values that are not finite"
    );
    assert_eq!(
        with(&|tensors| {
            let t = Tensor::zeros(64, DType::U8, &Device::Cpu).unwrap();
            tensors.insert("model.norm.weight".to_owned(), t);
        }),
        "`model.safetensors`: tensor `model.norm.weight` has dtype U8; readable: F32, F64, F16, BF16"
    );
}

#[test]
fn faults_in_the_folder() {
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(fault(empty.path()), "`config.json` is missing (there: )");
    let folder = folder();
    assert_eq!(
        fault(folder.path()),
        "`model.safetensors` is missing (there: config.json)"
    );
    let weights = fs::read(open_folder().join("model.safetensors")).unwrap();
    let path = folder.path().join("model.safetensors");
    fs::write(&path, &weights[..weights.len() - 100]).unwrap();
    assert_eq!(
        fault(folder.path()),
        "`model.safetensors`: the file is truncated: its tensors end at 703744, its data at 703644"
    );
    fs::remove_file(&path).unwrap();
    let index = |file: &str| {
        let map = serde_json::json!({ "weight_map": { "model.norm.weight": file } });
        let path = folder.path().join("model.safetensors.index.json");
        fs::write(path, map.to_string()).unwrap();
        fault(folder.path())
    };
    let place = "`model.safetensors.index.json` places tensor `model.norm.weight` in";
    for outside in ["../x", "/etc/passwd", "a\\b", ""] {
        assert_eq!(
            index(outside),
            format!("{place} `{outside}`, which is not a file of the folder")
        );
    }
    assert_eq!(index("x"), format!("{place} `x`, which is missing"));
    fs::write(folder.path().join("x"), &weights).unwrap();
    assert_eq!(
        index("x"),
        "`model.safetensors.index.json`: tensor `model.embed_tokens.weight` is missing"
    );
    fs::write(
        folder.path().join("config.json"),
        r#"{"model_type":"mistral"}"#,
    )
    .unwrap();
    assert_eq!(
        index("x"),
        "`config.json`: `model_type` is `mistral`; supported: `olmo2`, `llama`, `gpt_neox`"
    );
}

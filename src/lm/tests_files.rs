//! Model folders in every accepted form, and each fault by its exact message.
use std::{collections::BTreeMap, fs, path::Path};

use candle_core::{DType, Device, Tensor};
use tempfile::TempDir;

use super::{
    Files, Model,
    tests_compare::{assert_close, open_folder, open_model, tiny_model},
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
    let model = tiny_model(true);
    let folder = folder();
    model.save(folder.path()).unwrap();
    let loaded = load(folder.path()).unwrap();
    assert!(!loaded.parameters().contains_key("lm_head.weight"));
    let (head, embedding) = (loaded.head_weight(), loaded.embedding_weight());
    assert_close(
        &[("head".to_owned(), head.unwrap(), embedding.unwrap())],
        0.0,
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
        r#"{"model_type":"llama"}"#,
    )
    .unwrap();
    assert_eq!(
        index("x"),
        "`config.json`: `model_type` is `llama`; supported: `olmo2`"
    );
}

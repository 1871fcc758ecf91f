//! The kind as the engine runs it, at a size that takes moments.
use std::fs;

use anyhow::Result;
use candle_core::{DType, Device};

use crate::{
    artifact::{Artifact, Checkpoint, Corpus, Prompts, schema, table},
    lm::{Files, Model, Tokenizer},
    rl::answer_probabilities,
    seed::Seed,
    stage::Stage,
    stages::{
        copy_corpus::CopyCorpus,
        harness::{Ran, Setting, refusal, run, run_in},
        label_copy::LabelCopy,
        task::label_task,
    },
};

use super::Pretrain;

fn recipe(json: &str) -> Pretrain {
    serde_json::from_str(json).unwrap()
}

fn tiny(steps: u64) -> Pretrain {
    Pretrain {
        steps,
        decay_steps: 12,
        warmup_steps: 2,
        hidden_size: 16,
        layers: 1,
        heads: 2,
        mlp: 24,
        batch: 3,
        context: 10,
        ..recipe(r#"{"steps": 1}"#)
    }
}

fn corpus(labels: usize) -> Ran {
    let stage = CopyCorpus {
        documents: 300,
        labels,
        ..CopyCorpus::default()
    };
    run(&stage, &[]).unwrap()
}

fn train(stage: &Pretrain, corpus: &Ran, marks: &[u64], from: Option<&Ran>) -> Result<Ran> {
    let setting = Setting {
        marks: marks.to_vec(),
        resume: from.map(Ran::resume),
        ..Setting::default()
    };
    run_in(stage, &[("corpus", corpus.artifact("corpus"))], setting)
}

fn same(a: &Artifact, b: &Artifact) -> bool {
    a.digest == b.digest
}

#[test]
fn one_pass_equals_separate_runs_and_a_resumed_one_bit_for_bit() {
    let corpus = corpus(24);
    let fused = train(&tiny(9), &corpus, &[3, 5, 9], None).unwrap();
    assert_eq!(fused.marks(), [3, 5, 9]);
    for mark in [3, 5, 9] {
        let alone = train(&tiny(mark), &corpus, &[mark], None).unwrap();
        for port in ["checkpoint", "log"] {
            assert!(
                same(fused.at(mark, port), alone.artifact(port)),
                "{mark} {port}"
            );
        }
    }
    let first = train(&tiny(4), &corpus, &[4], None).unwrap();
    assert_eq!(first.resume().mark, 4);
    let second = train(&tiny(9), &corpus, &[5, 9], Some(&first)).unwrap();
    for mark in [5, 9] {
        for port in ["checkpoint", "log"] {
            assert!(
                same(fused.at(mark, port), second.at(mark, port)),
                "{mark} {port}"
            );
        }
    }
    let other = Pretrain {
        seed: Seed(1),
        ..tiny(3)
    };
    let other = train(&other, &corpus, &[3], None).unwrap();
    assert!(!same(
        other.artifact("checkpoint"),
        fused.at(3, "checkpoint")
    ));
}

#[test]
fn a_checkpoint_reloads_and_knows_its_place() {
    let corpus = corpus(24);
    let ran = train(&tiny(4), &corpus, &[2, 4], None).unwrap();
    let checkpoint = Checkpoint::of(ran.at(2, "checkpoint")).unwrap();
    assert_eq!((checkpoint.step, checkpoint.tokens), (2, 2 * 3 * 10));
    let files = Files(checkpoint.files);
    let model = Model::load(&files, &Device::Cpu, DType::F32).unwrap();
    let config = model.config();
    assert_eq!(
        (config.vocab_size, config.max_position_embeddings),
        (104, 10)
    );
    assert_eq!(
        (config.pad_token_id, config.eos_token_id),
        (Some(0), Some(1))
    );
    let known = Corpus::read(corpus.artifact("corpus")).unwrap().tokenizer;
    let tokenizer = fs::read(files.get("tokenizer.json").unwrap()).unwrap();
    assert_eq!(tokenizer, fs::read(known).unwrap());
    let log = table::read_artifact(ran.artifact("log"), &schema::PRETRAIN_LOG).unwrap();
    let steps = table::i64s(&log, "step").unwrap();
    assert_eq!(steps, [1, 2, 3, 4].map(Some));
    let rates = table::f64s(&log, "learning_rate").unwrap();
    assert_eq!(rates[..2], [Some(0.75e-3), Some(1.5e-3)]);
}

#[test]
fn copying_is_learned() {
    let corpus = corpus(4);
    let stage = Pretrain {
        decay_steps: 150,
        warmup_steps: 15,
        hidden_size: 32,
        layers: 2,
        mlp: 64,
        batch: 16,
        context: 14,
        learning_rate: 1e-2,
        ..tiny(150)
    };
    let ran = train(&stage, &corpus, &[10, 150], None).unwrap();
    let questions = LabelCopy {
        train: 0,
        eval: 24,
        ..LabelCopy::default()
    };
    let questions = run(&questions, &[("corpus", corpus.artifact("corpus"))]).unwrap();
    let prompts = Prompts::read(questions.artifact("prompts")).unwrap();
    let reward = |mark| {
        let checkpoint = Checkpoint::of(ran.at(mark, "checkpoint")).unwrap();
        let files = Files(checkpoint.files);
        let model = Model::load(&files, &Device::Cpu, DType::F32).unwrap();
        let tokenizer = Tokenizer::load(&files).unwrap();
        let task = label_task(&prompts, &tokenizer, model.config()).unwrap();
        let p = answer_probabilities(&model, &task.eval, task.pad, 1.0).unwrap();
        let p_y = p.iter().zip(&task.eval).map(|(p, q)| p[q.label as usize]);
        p_y.sum::<f64>() / 24.0
    };
    let (before, after) = (reward(10), reward(150));
    assert!(before < 0.3 && after > before + 0.3, "{before} {after}");
}

#[test]
fn a_corpus_that_does_not_fit_is_told() {
    let corpus = corpus(24);
    let fault = |stage: &Pretrain| {
        let fault = train(stage, &corpus, &[1], None).err().unwrap();
        format!("{fault:#}")
    };
    let stage = Pretrain {
        end_of_document: "</s>".to_owned(),
        ..tiny(1)
    };
    assert_eq!(
        fault(&stage),
        "`end_of_document`: the tokenizer has no token `</s>`"
    );
}

#[test]
fn ranges_are_told() {
    let edit = |edit: fn(&mut Pretrain)| {
        let mut stage = recipe(r#"{"steps": 400}"#);
        edit(&mut stage);
        refusal(&stage)
    };
    assert_eq!(
        edit(|s| s.steps = 500),
        (
            "steps",
            "`steps` is 500, beyond `decay_steps` = 400: the learning rate has no value there; \
             raise decay_steps (this changes every checkpoint)"
                .to_owned()
        )
    );
    assert_eq!(
        edit(|s| s.steps = 0),
        ("steps", "`steps` is 0; allowed: 1 to 400".to_owned())
    );
    assert_eq!(
        edit(|s| s.hidden_size = 100),
        (
            "hidden_size",
            "`hidden_size` is 100; allowed: multiples of 8, twice the `heads`".to_owned()
        )
    );
    assert_eq!(
        edit(|s| s.warmup_steps = 400),
        (
            "warmup_steps",
            "`warmup_steps` is 400; allowed: 0 to 399".to_owned()
        )
    );
    assert_eq!(
        edit(|s| s.beta2 = 1.0),
        ("beta2", "`beta2` is 1; allowed: 0 to below 1".to_owned())
    );
    let unknown = serde_json::from_str::<Pretrain>(r#"{"steps": 1, "layer": 3}"#).unwrap_err();
    assert!(
        unknown.to_string().starts_with("unknown field `layer`"),
        "{unknown}"
    );
    assert!(recipe(r#"{"steps": 400}"#).check().is_ok());
}

//! `table`: a CSV or parquet file of a nominal schema, such as rewards that TRL
//! or verl measured.
use std::path::PathBuf;

use anyhow::{Result, bail};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    artifact::{ArtifactType, schema::REWARDS, table},
    stage::{Context, External, Inputs, OutputPort, Outputs, Ports, Produced, Refusal, Stage},
};

/// Imports a table that was measured elsewhere.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// The file, `.csv` (with a header line) or `.parquet`, relative to the
    /// pipeline's folder. Its content enters the key, not its place.
    pub path: PathBuf,
    /// The nominal schema. Columns go by name; further ones are left out.
    #[serde(default)]
    pub schema: Imported,
}

/// The schemas that can be imported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Imported {
    /// step, learning_rate, rl_seed, updates, r_before, r_after, gain.
    #[default]
    Rewards,
}

impl Table {
    fn extension(&self) -> Option<&str> {
        self.path.extension()?.to_str()
    }
}

impl Stage for Table {
    const KIND: &'static str = "table";
    const VERSION: u32 = 1;
    const ABOUT: &'static str = "a CSV or parquet file of rewards measured elsewhere";
    const PORTS: Ports = Ports {
        inputs: &[],
        outputs: &[OutputPort::new(
            "rewards",
            ArtifactType::Table(REWARDS.name),
            "the imported rows, in the file's order",
        )],
    };

    fn check(&self) -> Result<(), Refusal> {
        match self.extension() {
            Some("csv" | "parquet") => Ok(()),
            _ => Err(Refusal::new(
                "path",
                format!(
                    "`{}` ends in neither `.csv` nor `.parquet`",
                    self.path.display()
                ),
            )),
        }
    }

    fn externals(&self) -> Vec<External> {
        vec![External {
            param: "path",
            path: self.path.clone(),
        }]
    }

    fn run(&self, _inputs: &Inputs, context: &Context<'_>) -> Result<Outputs> {
        let Imported::Rewards = self.schema;
        let path = context.external("path")?;
        let mut frame = match self.extension() {
            Some("csv") => table::read_csv(path, &REWARDS)?,
            _ => table::read(path, &REWARDS)?,
        };
        if frame.height() == 0 {
            bail!("table {} has no rows", path.display());
        }
        let bytes = table::encode(&mut frame, &REWARDS)?;
        Ok(Outputs::new().with("rewards", Produced::Bytes(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::{rows::RewardRow, testing::Bench};

    fn kind(path: &str) -> Table {
        Table {
            path: path.into(),
            schema: Imported::Rewards,
        }
    }

    const CSV: &[u8] = b"step,learning_rate,rl_seed,updates,r_before,r_after,gain\n\
                         25,0.0001,0,10,0.5,0.75,0.25\n";

    #[test]
    fn csv_and_parquet_give_the_same_bytes() {
        let from_csv = Bench::new()
            .with_external("path", CSV)
            .run(&kind("r.csv"))
            .unwrap();
        let rows: Vec<RewardRow> = from_csv.rows("rewards", &REWARDS);
        assert_eq!((rows[0].step, rows[0].gain), (25, 0.25));
        let again = Bench::new()
            .with_external("path", &from_csv.bytes["rewards"])
            .run(&kind("r.parquet"))
            .unwrap();
        assert_eq!(again.bytes, from_csv.bytes);
    }

    #[test]
    fn what_cannot_be_imported_is_said() {
        let missing = b"step,learning_rate,rl_seed,updates,r_before,r_after\n";
        assert_eq!(
            Bench::new()
                .with_external("path", missing)
                .refusal(&kind("r.csv")),
            "table external-path misses column `gain` of schema `rewards` \
             (it has: step, learning_rate, rl_seed, updates, r_before, r_after)"
        );
        let header = &CSV[..=CSV.iter().position(|b| *b == b'\n').unwrap()];
        assert_eq!(
            Bench::new()
                .with_external("path", header)
                .refusal(&kind("r.csv")),
            "table external-path has no rows"
        );
        assert_eq!(
            kind("r.xlsx").check().unwrap_err().message,
            "`r.xlsx` ends in neither `.csv` nor `.parquet`"
        );
    }
}

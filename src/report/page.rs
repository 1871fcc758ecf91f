//! The page for people: a cached body and what only the command line knows.
//!
//! One self-contained document: inline style, inline SVG, no script, nothing
//! loaded from anywhere; the policy in its head forbids both.
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde::{Deserialize, Serialize};

use crate::report::body::{Body, Picture, Section};
use crate::report::cost::cost_markup;
use crate::report::data::Cost;
use crate::report::markup::{Column, table};

/// What the command line adds to a body. Empty parts are left out of the page.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Surroundings {
    /// Name of the pipeline.
    pub pipeline: String,
    /// The pipeline's text as it was run.
    pub toml: String,
    /// Name and value: program version, host, device, libraries.
    pub environment: Vec<(String, String)>,
    pub lineage: Vec<Lineage>,
    /// Name and count: executed, cached, failed.
    pub counts: Vec<(String, u64)>,
    /// Shown in the cost section, after what the body itself says.
    pub cost: Vec<Cost>,
}

/// One artifact behind the report.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Lineage {
    /// Stage with its coordinates.
    pub stage: String,
    pub kind: String,
    pub key: String,
    /// Output name and content digest.
    pub outputs: Vec<(String, String)>,
}

/// Forbids scripts, frames, forms and every load, also of what a later edit might add.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";
const STYLE: &str = include_str!("page.css");

/// The whole HTML document.
pub fn page(body: &Body, surroundings: &Surroundings) -> String {
    let shown: Vec<&Section> = body
        .sections
        .iter()
        .filter(|section| !is_empty(section, surroundings))
        .collect();
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (body.title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { (body.title) }
                    @if !surroundings.pipeline.is_empty() { p { "Pipeline " (surroundings.pipeline) } }
                    nav { @for section in &shown { a href={ "#" (section.id) } { (section.heading) } " " } }
                }
                main {
                    @for section in &shown { (section_markup(section, body, surroundings)) }
                    (surroundings_markup(surroundings))
                }
            }
        }
    };
    markup.into_string()
}

/// A body without cost leaves an empty section for the surroundings to fill.
fn is_empty(section: &Section, surroundings: &Surroundings) -> bool {
    let filled = section.id == "cost" && !surroundings.cost.is_empty();
    section.html.is_empty() && section.pictures.is_empty() && !filled
}

fn section_markup(section: &Section, body: &Body, surroundings: &Surroundings) -> Markup {
    html! {
        section id=(section.id) {
            h2 { (section.heading) }
            (PreEscaped(&section.html))
            @if section.id == "cost" && !surroundings.cost.is_empty() { (cost_markup(&surroundings.cost)) }
            @for picture in &section.pictures { (figure(picture, body)) }
        }
    }
}

fn figure(picture: &Picture, body: &Body) -> Markup {
    html! {
        @if let Some(svg) = body.figures.get(&picture.name) {
            figure id={ "figure-" (picture.name) } {
                (PreEscaped(svg))
                figcaption { (picture.caption) }
            }
        }
    }
}

fn surroundings_markup(surroundings: &Surroundings) -> Markup {
    html! {
        @if !surroundings.counts.is_empty() || !surroundings.environment.is_empty() {
            section id="environment" {
                h2 { "Run and environment" }
                @if !surroundings.counts.is_empty() {
                    p { "Stages: " (surroundings.counts.iter().map(|(name, count)| format!("{count} {name}")).collect::<Vec<_>>().join(", ")) "." }
                }
                @if !surroundings.environment.is_empty() {
                    (table("", &[Column::text("what"), Column::text("value")], surroundings.environment.iter().map(|(name, value)| vec![name.clone(), value.clone()])))
                }
            }
        }
        @if !surroundings.toml.is_empty() {
            section id="pipeline" { h2 { "The pipeline" } pre { (surroundings.toml) } }
        }
        @if !surroundings.lineage.is_empty() {
            section id="lineage" { h2 { "Lineage" } (lineage_markup(&surroundings.lineage)) }
        }
    }
}

fn lineage_markup(rows: &[Lineage]) -> Markup {
    html! {
        div.table { table {
            caption { "Every result behind this page: its stage, its key, and the digest of its bytes." }
            thead { tr { th scope="col" { "stage" } th scope="col" { "kind" } th scope="col" { "key" } th scope="col" { "outputs" } } }
            tbody { @for row in rows { tr {
                td { (row.stage) }
                td { (row.kind) }
                td { code { (row.key) } }
                td { @for (name, digest) in &row.outputs { (name) " " code { (digest) } br; } }
            } } }
        } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::body::body;
    use crate::report::data::Phase;
    use crate::report::example;

    fn surroundings() -> Surroundings {
        Surroundings {
            pipeline: "quickstart".to_owned(),
            toml: "[pipeline]\nname = \"quickstart\"\n\n[axes]\nstep = { from = 25, to = 400, by = 25 }\n".to_owned(),
            environment: vec![("version".to_owned(), "0.1.0".to_owned()), ("device".to_owned(), "cpu".to_owned())],
            lineage: vec![Lineage {
                stage: "impact@lr=1e-4".to_owned(),
                kind: "impact".to_owned(),
                key: "ab".repeat(32),
                outputs: vec![("impact".to_owned(), "cd".repeat(32))],
            }],
            counts: vec![("executed".to_owned(), 0), ("cached".to_owned(), 434), ("failed".to_owned(), 0)],
            cost: Vec::new(),
        }
    }

    #[test]
    fn the_page_is_self_contained() {
        let page = page(&body(&example::full()), &surroundings());
        assert!(page.starts_with("<!DOCTYPE html>"));
        assert!(page.contains("content=\"default-src 'none'; style-src 'unsafe-inline'"));
        for foreign in ["<script", "src=", "@import", "url(", "<link", "<iframe"] {
            assert!(!page.contains(foreign), "{foreign}");
        }
        let addresses = page.matches("http").count();
        let namespaces =
            page.matches("http://www.w3.org/2000/svg").count() + page.matches("http-equiv").count();
        assert_eq!(addresses, namespaces);
        assert!(page.contains("Stages: 0 executed, 434 cached, 0 failed."));
        assert!(page.contains("step = { from = 25"));
    }

    #[test]
    fn text_in_names_is_inert() {
        let evil = "</title><script>alert(1)</script>\u{7}";
        let mut data = example::full();
        data.title = evil.to_owned();
        data.warnings = vec![evil.to_owned()];
        data.cost[0].kind = evil.to_owned();
        data.gap[0].mode = evil.to_owned();
        let rate = &mut data.learning_rates[0];
        rate.correlations[1].score = evil.to_owned();
        rate.comparisons[0].baseline = evil.to_owned();
        rate.choices[0].rule = evil.to_owned();
        data.sensitivity.rows[0].score = evil.to_owned();
        let mut around = surroundings();
        around.pipeline = evil.to_owned();
        around.toml = evil.to_owned();
        around.environment = vec![(evil.to_owned(), evil.to_owned())];
        around.lineage[0].stage = evil.to_owned();
        around.lineage[0].outputs = vec![(evil.to_owned(), evil.to_owned())];
        around.counts = vec![(evil.to_owned(), 1)];
        let body = body(&data);
        let page = page(&body, &around);
        assert!(!page.contains("<script"));
        assert!(page.contains("&lt;script&gt;alert(1)"));
        for (name, svg) in &body.figures {
            assert!(!svg.contains("<script") && !svg.contains('\u{7}'), "{name}");
        }
    }

    #[test]
    fn cost_comes_from_the_body_or_from_the_surroundings() {
        let mut data = example::full();
        let costs = std::mem::take(&mut data.cost);
        let bare = body(&data);
        assert!(!page(&bare, &surroundings()).contains("What did it cost?"));
        let around = Surroundings {
            cost: costs,
            ..surroundings()
        };
        let page = page(&bare, &around);
        assert!(page.contains(
            "<h2>What did it cost?</h2><p>Cost, summed over stages: ladder 20 s (16 stages)"
        ));
        assert!(around.cost.iter().any(|cost| cost.phase == Phase::Rl));
    }

    /// Writes pages and figures to look at where `VGH_REPORT_PREVIEW` names a folder.
    #[test]
    fn preview() {
        let full = body(&example::full());
        let bare = body(&example::before_rl());
        let pages = [
            ("full.html", page(&full, &surroundings())),
            ("before-rl.html", page(&bare, &Surroundings::default())),
        ];
        assert!(pages.iter().all(|(_, page)| page.ends_with("</html>")));
        let Some(folder) = std::env::var_os("VGH_REPORT_PREVIEW") else {
            return;
        };
        let folder = std::path::PathBuf::from(folder);
        for (name, page) in pages {
            std::fs::write(folder.join(name), page).expect("the folder can be written");
        }
        for (name, svg) in full.figures.iter().chain(&bare.figures) {
            std::fs::write(folder.join(format!("{name}.svg")), svg)
                .expect("the folder can be written");
        }
    }
}

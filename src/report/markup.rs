//! Tables as HTML; maud escapes every text.
use maud::{Markup, html};

/// Heading and alignment of a column.
pub(super) struct Column {
    heading: &'static str,
    number: bool,
}

impl Column {
    pub(super) const fn text(heading: &'static str) -> Self {
        Column {
            heading,
            number: false,
        }
    }

    /// Right-aligned.
    pub(super) const fn number(heading: &'static str) -> Self {
        Column {
            heading,
            number: true,
        }
    }

    fn class(&self) -> &'static str {
        if self.number { "number" } else { "text" }
    }
}

/// A table with its caption; cells beyond the columns are left out.
pub(super) fn table(
    caption: &str,
    columns: &[Column],
    rows: impl IntoIterator<Item = Vec<String>>,
) -> Markup {
    html! {
        div.table {
            table {
                caption { (caption) }
                thead { tr {
                    @for column in columns { th scope="col" class=(column.class()) { (column.heading) } }
                } }
                tbody {
                    @for row in rows { tr {
                        @for (column, cell) in columns.iter().zip(row) { td class=(column.class()) { (cell) } }
                    } }
                }
            }
        }
    }
}

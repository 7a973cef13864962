//! Tables, as text whose columns stand below one another.

/// Characters of a table with its columns below one another. One long cell before many short ones takes far more than was
/// written, and on no platform would it look like a table.
const WIDEST: usize = 64 * 1024;

/// A table that is being read.
#[derive(Default)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
    row: Vec<String>,
    /// The text of the cell that is open.
    pub(super) cell: String,
    /// Whether it goes on from an earlier part without its head.
    headless: bool,
}

impl Table {
    /// Goes on from an earlier part, with its head or without.
    pub(super) fn continued(head: bool) -> Self {
        Self { headless: !head, ..Self::default() }
    }

    pub(super) fn text(&mut self, text: &str) {
        self.cell.extend(text.chars().map(|c| if c == '\n' { ' ' } else { c }));
    }

    pub(super) fn end_cell(&mut self) {
        self.row.push(std::mem::take(&mut self.cell).trim().to_owned());
    }

    pub(super) fn end_row(&mut self) {
        self.rows.push(std::mem::take(&mut self.row));
    }

    /// Its lines, the columns below one another unless that takes too many spaces.
    pub(super) fn aligned(&self) -> String {
        let mut widths: Vec<usize> = Vec::new();
        for row in &self.rows {
            widths.resize(widths.len().max(row.len()), 0);
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let padded = widths.iter().sum::<usize>().saturating_mul(self.rows.len());
        if padded > WIDEST {
            widths.fill(0);
        }
        let line = |row: &Vec<String>| {
            let cells = widths.iter().zip(row).map(|(width, cell)| format!("{cell:width$}", width = *width));
            cells.collect::<Vec<_>>().join(" | ").trim_end().to_owned()
        };
        let mut lines: Vec<_> = self.rows.iter().map(line).collect();
        if lines.len() > 1 && !self.headless {
            let rule = widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>().join("-+-");
            lines.insert(1, rule);
        }
        lines.join("\n")
    }
}

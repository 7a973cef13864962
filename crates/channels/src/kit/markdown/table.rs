//! Tables, as text whose columns stand below one another.

/// A table that is being read.
#[derive(Default)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
    row: Vec<String>,
    /// The text of the cell that is open.
    pub(super) cell: String,
}

impl Table {
    pub(super) fn text(&mut self, text: &str) {
        self.cell.extend(text.chars().map(|c| if c == '\n' { ' ' } else { c }));
    }

    pub(super) fn end_cell(&mut self) {
        self.row.push(std::mem::take(&mut self.cell).trim().to_owned());
    }

    pub(super) fn end_row(&mut self) {
        self.rows.push(std::mem::take(&mut self.row));
    }

    pub(super) fn aligned(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
        };
        let widths: Vec<_> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        let line = |row: &Vec<String>| {
            let cells = widths.iter().enumerate().map(|(column, width)| {
                let cell = row.get(column).map_or("", String::as_str);
                format!("{cell:width$}", width = *width)
            });
            cells.collect::<Vec<_>>().join(" | ").trim_end().to_owned()
        };
        let mut lines: Vec<_> = self.rows.iter().map(line).collect();
        if lines.len() > 1 {
            let rule = widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>().join("-+-");
            lines.insert(1, rule);
        }
        lines.join("\n")
    }
}

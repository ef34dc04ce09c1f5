//! Tables that read well on a terminal and are Markdown.

/// A table; every cell but the first of a row stands to the right.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with its heading.
    pub fn new<S: Into<String>>(header: impl IntoIterator<Item = S>) -> Self {
        let mut table = Self { rows: Vec::new() };
        table.row(header);
        table
    }

    /// Adds a row.
    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// The table, a line for each row.
    pub fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let line = |row: &[String]| {
            let cells = widths.iter().enumerate().map(|(column, &width)| {
                let cell = row.get(column).map_or("", String::as_str);
                if column == 0 {
                    format!(" {cell:<width$} ")
                } else {
                    format!(" {cell:>width$} ")
                }
            });
            format!("|{}|\n", cells.collect::<Vec<_>>().join("|"))
        };
        let rule = widths.iter().enumerate().map(|(column, &width)| {
            let end = if column == 0 { "-" } else { ":" };
            format!("{}{end}", "-".repeat(width + 1))
        });
        let rule = format!("|{}|\n", rule.collect::<Vec<_>>().join("|"));
        let mut lines: Vec<String> = self.rows.iter().map(|row| line(row)).collect();
        lines.insert(1, rule);
        lines.concat()
    }
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(["what", "ns"]);
        table.row(["dup", "1,204.5"]);
        assert_eq!(
            table.render(),
            "| what |      ns |\n|------|--------:|\n| dup  | 1,204.5 |\n"
        );
    }
}

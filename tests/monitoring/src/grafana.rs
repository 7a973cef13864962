//! Dashboards as Grafana reads them (<https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/>).

use serde_json::{Value, json};

use crate::query::{VARIABLES, Variable};

/// Columns of a dashboard.
const COLUMNS: u64 = 24;
/// Rows that a panel takes.
const HEIGHT: u64 = 8;

/// Colours of marks, from the least.
const MARKS: [&str; 3] = ["yellow", "orange", "red"];

/// What a panel's numbers are, as Grafana calls it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Unit {
    Number,
    PerSecond,
    Seconds,
    Bytes,
    Share,
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::Number => "short",
            Self::PerSecond => "cps",
            Self::Seconds => "s",
            Self::Bytes => "bytes",
            Self::Share => "percentunit",
        }
    }
}

/// A picture of some queries.
#[derive(Debug)]
pub struct Panel {
    title: &'static str,
    about: String,
    unit: Unit,
    /// One number instead of a graph.
    single: bool,
    width: u64,
    /// Values at which a line is drawn across the graph, from the least.
    marks: &'static [f64],
    /// Queries, and what each line is called.
    queries: Vec<(String, String)>,
}

impl Panel {
    /// A graph, half as wide as the dashboard.
    pub(crate) fn graph(title: &'static str, unit: Unit, about: impl Into<String>) -> Self {
        Self { title, about: about.into(), unit, single: false, width: 12, marks: &[], queries: Vec::new() }
    }

    /// One number.
    pub(crate) fn number(title: &'static str, unit: Unit, about: impl Into<String>) -> Self {
        Self { title, about: about.into(), unit, single: true, width: 3, marks: &[], queries: Vec::new() }
    }

    /// With a line, or a line for each of the labels that `called` has in double braces.
    #[must_use]
    pub(crate) fn line(mut self, query: String, called: impl Into<String>) -> Self {
        self.queries.push((query, called.into()));
        self
    }

    /// With dashed lines across it at these values, from the least.
    #[must_use]
    pub(crate) fn marks(mut self, at: &'static [f64]) -> Self {
        self.marks = at;
        self
    }

    fn json(&self, id: usize, x: u64, y: u64) -> Value {
        let target = |(at, (query, called)): (usize, &(String, String))| {
            let letter = char::from(b'A' + u8::try_from(at).unwrap_or(0));
            json!({
                "refId": letter.to_string(), "expr": query, "legendFormat": called, "range": !self.single,
                "instant": self.single, "datasource": source(),
            })
        };
        let targets: Vec<Value> = self.queries.iter().enumerate().map(target).collect();
        let options = if self.single {
            json!({"colorMode": "value", "reduceOptions": {"calcs": ["lastNotNull"]}})
        } else {
            let calcs = ["lastNotNull", "max"];
            json!({"legend": {"showLegend": true, "displayMode": "table", "placement": "right", "calcs": calcs},
                   "tooltip": {"mode": "multi", "sort": "desc"}})
        };
        json!({
            "id": id, "title": self.title, "description": self.about,
            "type": if self.single { "stat" } else { "timeseries" },
            "gridPos": {"h": if self.single { HEIGHT / 2 } else { HEIGHT }, "w": self.width, "x": x, "y": y},
            "datasource": source(), "targets": targets, "options": options,
            "fieldConfig": {"defaults": self.field(), "overrides": []},
        })
    }

    fn field(&self) -> Value {
        let mut field = json!({"unit": self.unit.name(), "min": 0});
        if !self.marks.is_empty() {
            let marks = self.marks.iter().zip(MARKS.iter().cycle());
            let steps = marks.map(|(value, colour)| json!({"color": colour, "value": value}));
            // The first is for what is below all marks.
            let steps: Vec<Value> =
                std::iter::once(json!({"color": "green", "value": null})).chain(steps).collect();
            field["thresholds"] = json!({"mode": "absolute", "steps": steps});
            field["custom"] = json!({"thresholdsStyle": {"mode": "dashed"}});
        }
        field
    }
}

/// A page of panels.
#[derive(Debug)]
pub struct Dashboard {
    /// The file's name, and in the dashboard's address.
    pub name: &'static str,
    /// What it is called.
    pub title: &'static str,
    /// From left to right and top to bottom.
    pub panels: Vec<Panel>,
}

impl Dashboard {
    /// Every query.
    pub fn queries(&self) -> impl Iterator<Item = &str> {
        self.panels.iter().flat_map(|panel| panel.queries.iter().map(|(query, _)| query.as_str()))
    }

    /// As Grafana imports it.
    pub(crate) fn json(&self) -> Value {
        let (mut x, mut y, mut row) = (0, 0, 0);
        let mut panels = Vec::new();
        for (at, panel) in self.panels.iter().enumerate() {
            let height = if panel.single { HEIGHT / 2 } else { HEIGHT };
            if x + panel.width > COLUMNS || (row != height && x > 0) {
                (x, y) = (0, y + row);
            }
            row = height;
            panels.push(panel.json(at + 1, x, y));
            x += panel.width;
        }
        json!({
            "uid": format!("ii-claw-{}", self.name), "title": format!("ii-claw / {}", self.title),
            "tags": ["ii-claw"], "schemaVersion": 39, "editable": true, "refresh": "30s",
            "time": {"from": "now-3h", "to": "now"}, "timezone": "browser", "graphTooltip": 1,
            "templating": {"list": variables()},
            // To the others, for the same time and the same clusters.
            "links": [{
                "title": "ii-claw", "type": "dashboards", "tags": ["ii-claw"], "asDropdown": true, "icon": "",
                "tooltip": "", "targetBlank": false, "keepTime": true, "includeVars": true,
            }],
            "panels": panels,
        })
    }
}

/// Where is asked, and for which clusters.
fn variables() -> Vec<Value> {
    let source_of_all = json!({
        "name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus",
    });
    std::iter::once(source_of_all).chain(VARIABLES.iter().map(variable)).collect()
}

fn variable(of: &Variable) -> Value {
    json!({
        "name": of.name, "label": of.name, "type": "query", "datasource": source(),
        "query": {"query": of.values(), "refId": "StandardVariableQuery"},
        // When a dashboard is opened, the clusters are those that there are then.
        "refresh": 1, "sort": 1, "multi": true, "includeAll": true, "allValue": Variable::ALL,
        "current": {"text": ["All"], "value": ["$__all"]},
    })
}

fn source() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

//! The dashboards, a file each. Each begins with what is asked first.

mod channels;
mod delivery;
mod gateway;
mod overview;
mod scheduler;
mod services;
mod workers;

use crate::File;
pub use crate::grafana::Dashboard;

/// For so many days the overview tells what is left of the error budgets. An objective is for 30, for which few let Prometheus keep
/// all series; the one of `deploy/compose.yaml` keeps 15 days.
pub const BUDGET_DAYS: u32 = 7;

/// All of them.
pub fn all() -> Vec<Dashboard> {
    vec![
        overview::dashboard(),
        gateway::dashboard(),
        workers::dashboard(),
        delivery::dashboard(),
        scheduler::dashboard(),
        channels::dashboard(),
        services::dashboard(),
    ]
}

pub(crate) fn files() -> Vec<File> {
    let file = |dashboard: Dashboard| File {
        path: format!("deploy/grafana/{}.json", dashboard.name),
        content: format!("{:#}\n", dashboard.json()),
    };
    all().into_iter().map(file).collect()
}

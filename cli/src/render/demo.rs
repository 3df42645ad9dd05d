//! What the demonstration says.

use std::path::Path;

use engine::demo::{Comparison, JOB_FILE, Produced, SCHEDULED_TIME, SECRET_VARIABLE};

use super::number::{bytes, count};
use super::table::Columns;

/// A line that begins a part.
pub(crate) fn heading(text: &str) -> String {
    format!("\n── {text}\n")
}

/// Where the servers are, and what comes.
pub(crate) fn begin(brokers: &str, endpoint: &str, messages: u64) -> String {
    format!(
        "{}Kafka broker {brokers}, MaxCompute-compatible server {endpoint}, both in this process\n\
         producing {} messages over 26 hours …",
        heading("Servers"),
        count(messages),
    )
}

/// What is in the topic.
pub(crate) fn produced(produced: &Produced) -> String {
    let of =
        |part: fn(&engine::demo::InWindow) -> u64| produced.window.values().map(part).sum::<u64>();
    format!(
        "topic `orders`: {} messages, {}, on {} topic partitions, partly out of order; in the day to load: {} orders, {} \
         cut short, {} without a payload",
        count(produced.messages),
        bytes(produced.payload_bytes),
        produced.window.len(),
        count(of(|window| window.orders)),
        count(of(|window| window.malformed)),
        count(of(|window| window.tombstones)),
    )
}

/// The statement that made the table.
pub(crate) fn table(ddl: &str) -> String {
    format!("{}{ddl}", heading("The table, as `tidegate ddl` writes it"))
}

/// One line for each count, and whether both sides agree.
pub(crate) fn comparisons(comparisons: &[Comparison]) -> String {
    let mut columns = Columns::new(&["", "count", "produced>", "found>"]);
    for comparison in comparisons {
        let verdict = if comparison.agrees() {
            "agrees"
        } else {
            "differs"
        };
        let Comparison {
            what,
            produced,
            found,
        } = comparison;
        columns.row([verdict, what.as_str(), produced.as_str(), found.as_str()]);
    }
    columns.text()
}

/// What to try next.
pub(crate) fn next_steps(kept: Option<&Path>, seconds: f64) -> String {
    let steps = match kept {
        None => "tidegate demo --keep demo-data        the same, and topic, table and job file stay in that folder".to_owned(),
        Some(folder) => {
            let (folder, job) = (folder.display(), folder.join(JOB_FILE));
            let job = job.display();
            format!(
                "tidegate local --data {folder}        serves what was just made; then, in another terminal:\n\
                 export {SECRET_VARIABLE}=demo-secret\n\
                 tidegate check {job} --at {SCHEDULED_TIME}\n\
                 tidegate preview {job} --at {SCHEDULED_TIME} -n 3\n\
                 tidegate run {job} --at {SCHEDULED_TIME} --state {folder}/state\n\
                 tidegate sql 'SELECT COUNT(*) FROM orders' --job {job}",
            )
        }
    };
    format!("\nevery count agrees; {seconds:.1} s in all. To try next:\n\n{steps}")
}

//! What `/metrics` says, read as a person would: a name, some labels, a sum.

/// All samples of one moment.
pub struct Metrics {
    samples: Vec<Sample>,
}

struct Sample {
    name: String,
    /// The labels as they stand between the braces.
    labels: String,
    value: f64,
}

impl Metrics {
    /// Reads the text format of Prometheus; comments and what cannot be read are left out.
    #[must_use]
    pub fn parse(text: &str) -> Metrics {
        Metrics {
            samples: text.lines().filter_map(sample).collect(),
        }
    }

    /// The sum of all samples of this name that have all of these labels; 0 if there are none.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let wanted: Vec<String> = labels
            .iter()
            .map(|(key, value)| format!("{key}=\"{value}\""))
            .collect();
        let fits = |sample: &&Sample| {
            sample.name == name && wanted.iter().all(|label| sample.labels.contains(label))
        };
        self.samples
            .iter()
            .filter(fits)
            .map(|sample| sample.value as u64)
            .sum()
    }

    /// Of a route: events whose arrival was confirmed.
    #[must_use]
    pub fn forwarded(&self, route: &str) -> u64 {
        self.sum("kete_events_forwarded_total", &[("route", route)])
    }

    /// Of a route: events that are not settled.
    #[must_use]
    pub fn lag(&self, route: &str) -> u64 {
        self.sum("kete_route_lag_events", &[("route", route)])
    }

    /// Of a route: events dropped at a bound.
    #[must_use]
    pub fn dropped(&self, route: &str) -> u64 {
        self.sum("kete_events_dropped_total", &[("route", route)])
    }

    /// Of a route: events given up, for whatever reason.
    #[must_use]
    pub fn failed(&self, route: &str) -> u64 {
        self.sum("kete_events_failed_total", &[("route", route)])
    }

    /// Of a route: connections lost or not opened, of one kind.
    #[must_use]
    pub fn connect_failures(&self, route: &str, kind: &str) -> u64 {
        self.sum(
            "kete_route_connect_failures_total",
            &[("route", route), ("kind", kind)],
        )
    }

    /// Of all sources: lines or bodies that were not events.
    #[must_use]
    pub fn bad(&self) -> u64 {
        self.sum("kete_source_events_bad_total", &[])
    }

    /// Of all sources: events that intake took.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.sum("kete_source_events_taken_total", &[])
    }
}

fn sample(line: &str) -> Option<Sample> {
    if line.starts_with('#') {
        return None;
    }
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => (name, labels.trim_end_matches('}')),
        None => (series, ""),
    };
    Some(Sample {
        name: name.to_owned(),
        labels: labels.to_owned(),
        value: value.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_summed_by_name_and_labels() {
        let metrics = Metrics::parse(
            "# TYPE kete_events_failed counter\n\
             kete_events_failed_total{route=\"a\",reason=\"refused\"} 2\n\
             kete_events_failed_total{route=\"a\",reason=\"too_large\"} 3\n\
             kete_events_failed_total{route=\"b\",reason=\"too_large\"} 10\n\
             kete_queue_events 7\n",
        );
        assert_eq!(metrics.failed("a"), 5);
        let too_large = [("reason", "too_large")];
        assert_eq!(metrics.sum("kete_events_failed_total", &too_large), 13);
        assert_eq!(metrics.sum("kete_queue_events", &[]), 7);
        assert_eq!(metrics.sum("kete_nothing", &[]), 0);
    }
}

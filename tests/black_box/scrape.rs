//! What Prometheus would read of an operator, as values.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use crate::scene::Scene;

/// Name and labels of a series, the labels in the order of their names.
pub type Series = (String, BTreeMap<String, String>);

/// One answer.
pub struct Scrape {
    pub text: String,
    pub series: BTreeMap<Series, f64>,
}

/// An answer to GET, head included.
pub fn get(address: &str, path: &str) -> Vec<u8> {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer
}

impl Scene {
    /// Where the operator that was started last serves its probes, or its metrics.
    pub fn address_of(&self, field: &str) -> Option<String> {
        let log = self.operator_log();
        let starting = log.lines().rfind(|line| line.contains("starting") && line.contains("address"))?;
        let mut words = starting.split(['=', '"', ' ', ':', ',', '{']).filter(|word| !word.is_empty());
        words.find(|word| *word == field)?;
        Some(format!("{}:{}", words.next()?, words.next()?))
    }

    /// The metrics of the operator that was started last, once it serves them.
    pub async fn scrape(&self) -> Scrape {
        self.eventually("metrics are served", |scene| scene.address_of("metrics_address").is_some()).await;
        Scrape::at(&self.address_of("metrics_address").unwrap())
    }

    /// Waits until the metrics are so.
    pub async fn until_metrics(&self, what: &str, holds: impl Fn(&Scrape) -> bool) -> Scrape {
        self.scrape().await;
        let address = self.address_of("metrics_address").unwrap();
        let mut last = None;
        self.eventually(what, |_| {
            let scrape = Scrape::at(&address);
            let held = holds(&scrape);
            last = Some(scrape);
            held
        })
        .await;
        last.unwrap()
    }
}

impl Scrape {
    /// The metrics of the operator that serves them there.
    pub fn at(address: &str) -> Self {
        let answer = String::from_utf8(get(address, "/metrics")).unwrap();
        let (head, text) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.0 200") && head.contains("application/openmetrics-text"), "{head}");
        Self::read(text)
    }

    fn read(text: &str) -> Self {
        assert!(text.ends_with("# EOF\n"), "{text}");
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let mut series = BTreeMap::new();
        for line in lines {
            let (head, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = head.split_once('{').unwrap_or((head, "}"));
            let labels = labels.strip_suffix('}').unwrap();
            // No label of ours has a comma or a quotation mark in its value.
            let labels = labels.split(',').filter(|label| !label.is_empty()).map(|label| {
                let (name, value) = label.split_once('=').unwrap();
                (name.to_owned(), value.trim_matches('"').to_owned())
            });
            let before = series.insert((name.to_owned(), labels.collect()), value.parse().unwrap());
            assert_eq!(before, None, "twice: {line}");
        }
        Self { text: text.to_owned(), series }
    }

    /// All series of a name that have these labels.
    pub fn all<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&str, &str)],
    ) -> impl Iterator<Item = (&'a BTreeMap<String, String>, f64)> + 'a {
        let fits = |has: &BTreeMap<String, String>| {
            labels.iter().all(|(name, value)| has.get(*name).is_some_and(|found| found == value))
        };
        let named = self.series.iter().filter(move |((found, _), _)| found == name);
        named.filter(move |((_, has), _)| fits(has)).map(|((_, has), value)| (has, *value))
    }

    /// The value of the one series that there is.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let found: Vec<_> = self.all(name, labels).collect();
        assert!(found.len() < 2, "{name} {labels:?}: {found:?}");
        found.first().map(|(_, value)| *value)
    }
}

//! The chart, by Helm alone and on a real API server. What it installs is run with in the black-box tests of the operator.

#![cfg(test)]

mod installed;
mod upgrade;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Output;

use serde_json::{Value, json};
use xtask::helm_chart;
use xtask::progress::Progress;
use xtask::tools::Tools;

fn helm_program() -> PathBuf {
    Tools::locate(&Progress::new()).unwrap().helm
}

/// The older Helm, which many still use.
fn helm3_program() -> PathBuf {
    Tools::helm3(&Progress::new()).unwrap()
}

/// `helm template` with these values.
fn template(values: &Value) -> Output {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("values.json");
    std::fs::write(&file, values.to_string()).unwrap();
    let mut helm = helm_chart::helm(&helm_program(), home.path());
    helm.args(["template", "edusync", "charts/edusync", "--namespace", "edusync-system", "--values"]);
    helm.arg(file).output().unwrap()
}

/// What comes of these values, definitions left out.
fn rendered(mut values: Value) -> Vec<Value> {
    values["crds"] = json!({"enabled": false});
    let output = template(&values);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let objects: Vec<Value> =
        serde_saphyr::from_multiple(std::str::from_utf8(&output.stdout).unwrap()).unwrap();
    objects.into_iter().filter(|object| !object.is_null()).collect()
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Option<&'a Value> {
    objects.iter().find(|object| object["kind"] == kind)
}

/// What Helm says of values that it refuses.
fn refused(values: &Value) -> String {
    let output = template(values);
    assert!(!output.status.success(), "{values} is taken");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_templates_say_what_the_files_in_rendered_say() {
    let folder = xtask::repository_root().join(helm_chart::RENDERED);
    let present: BTreeMap<String, Vec<u8>> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read(path).unwrap())
        })
        .collect();
    differ_in_nothing(&present, helm_chart::render_all(&helm_program()).unwrap());
}

/// Since both make the same of every value set, the other tests of templates use one of them.
#[test]
fn helm_3_says_the_same() {
    let home = tempfile::tempdir().unwrap();
    let mut version = helm_chart::helm(&helm3_program(), home.path());
    let version = version.args(["version", "--short"]).output().unwrap().stdout;
    assert!(version.starts_with(b"v3."), "{version:?}");
    let helm4 = helm_chart::render_all(&helm_program()).unwrap();
    let objects = |rendered: BTreeMap<String, Vec<u8>>| {
        rendered
            .into_iter()
            .map(|(name, text)| {
                let objects: Vec<Value> =
                    serde_saphyr::from_multiple(std::str::from_utf8(&text).unwrap()).unwrap();
                let mut objects: Vec<String> = objects.iter().map(Value::to_string).collect();
                objects.sort();
                (name, objects)
            })
            .collect::<BTreeMap<_, _>>()
    };
    assert_eq!(objects(helm_chart::render_all(&helm3_program()).unwrap()), objects(helm4));
}

fn differ_in_nothing(present: &BTreeMap<String, Vec<u8>>, now: BTreeMap<String, Vec<u8>>) {
    assert!(now.len() >= 5, "{:?}", now.keys());
    assert_eq!(now.keys().collect::<Vec<_>>(), present.keys().collect::<Vec<_>>());
    for (name, text) in now {
        let (before, now) = (String::from_utf8_lossy(&present[&name]), String::from_utf8_lossy(&text));
        let different = before.lines().zip(now.lines()).find(|(before, now)| before != now);
        assert!(
            before == now,
            "{name} differs, first in {different:?}. If it should: `cargo xtask generate`, and look at its difference."
        );
    }
}

#[test]
fn a_disruption_budget_comes_with_the_second_replica() {
    for (replicas, is_there) in [(0, false), (1, false), (2, true)] {
        let objects = rendered(json!({"replicas": replicas}));
        assert_eq!(of_kind(&objects, "PodDisruptionBudget").is_some(), is_there, "{replicas}");
    }
    let objects = rendered(json!({"replicas": 2, "podDisruptionBudget": {"enabled": false}}));
    assert_eq!(of_kind(&objects, "PodDisruptionBudget"), None);
}

/// TCP ports that a `NetworkPolicy` lets out to everywhere.
fn ports(values: &Value) -> Vec<i64> {
    let mut values = values.clone();
    values["networkPolicy"] = json!({"enabled": true});
    let objects = rendered(values);
    let policy = of_kind(&objects, "NetworkPolicy").unwrap();
    let rules = policy["spec"]["egress"].as_array().unwrap().iter().filter(|rule| rule["to"].is_null());
    let ports = rules.flat_map(|rule| rule["ports"].as_array().unwrap());
    let tcp = ports.filter(|port| port["protocol"] == "TCP");
    tcp.map(|port| port["port"].as_i64().unwrap()).collect()
}

#[test]
fn the_network_policy_lets_out_what_the_other_values_need() {
    assert_eq!(of_kind(&rendered(json!({})), "NetworkPolicy"), None);
    assert_eq!(ports(&json!({})), [53, 443, 6443]);
    assert_eq!(ports(&json!({"proxy": {"httpsProxy": "http://proxy.example:3128/"}})), [53, 443, 6443, 3128]);
    assert_eq!(ports(&json!({"proxy": {"httpsProxy": "http://proxy.example"}})), [53, 443, 6443, 80]);
    assert_eq!(
        ports(&json!({"extraAllowedHosts": ["graph.example:8443", "a.example"]})),
        [53, 443, 6443, 8443]
    );
}

/// Does a selector choose pods of this template?
fn selects(selector: &Value, template: &Value) -> bool {
    let labels = &template["metadata"]["labels"];
    let mut equal = selector["matchLabels"].as_object().into_iter().flatten();
    let mut among = selector["matchExpressions"].as_array().into_iter().flatten();
    equal.all(|(name, value)| labels[name] == *value)
        && among.all(|rule| {
            assert_eq!(rule["operator"], "In");
            rule["values"].as_array().unwrap().contains(&labels[rule["key"].as_str().unwrap()])
        })
}

#[test]
fn the_pod_that_asks_is_none_of_the_operators_but_may_reach_the_api_server() {
    for values in
        [json!({}), json!({"nameOverride": "sds", "podLabels": {"app.kubernetes.io/name": "other"}})]
    {
        let mut values = values.clone();
        values["replicas"] = json!(2);
        values["networkPolicy"] = json!({"enabled": true});
        let objects = rendered(values);
        let spec = |kind: &str| &of_kind(&objects, kind).unwrap()["spec"];
        let [operator, guard] = ["Deployment", "Job"].map(|kind| &spec(kind)["template"]);
        for (selector, selects_guard) in [
            (&spec("Deployment")["selector"], false),
            (&spec("PodDisruptionBudget")["selector"], false),
            (&spec("NetworkPolicy")["podSelector"], true),
        ] {
            assert!(selects(selector, operator), "{selector}");
            assert_eq!(selects(selector, guard), selects_guard, "{selector}");
        }
    }
}

#[test]
fn values_that_make_no_sense_are_refused_in_words() {
    let cases = [
        (json!({"replica": 2}), "replica"),
        (json!({"pollInterval": "60"}), "pollInterval"),
        (json!({"image": {"digest": "latest"}}), "digest"),
        (json!({"proxy": {"httpsProxy": "proxy.example:3128"}}), "httpsProxy"),
        (json!({"watchNamespaces": ["school-*"]}), "watchNamespaces"),
        (json!({"networkPolicy": {"enabled": "yes"}}), "enabled"),
        (json!({"caBundle": {"configMap": "a", "secret": "b"}}), "name a configMap or a secret, not both"),
    ];
    for (values, words) in cases {
        let said = refused(&values);
        assert!(said.contains(words), "{values}: {said}");
    }
}

#[test]
fn a_digest_goes_before_the_tag() {
    let digest = format!("sha256:{}", "0".repeat(64));
    for (image, expected) in [
        (json!({"repository": "r/e"}), "r/e:0.1.0".to_owned()),
        (json!({"repository": "r/e", "tag": "t"}), "r/e:t".to_owned()),
        (json!({"repository": "r/e", "tag": "t", "digest": digest}), format!("r/e@{digest}")),
    ] {
        let objects = rendered(json!({"image": image}));
        for kind in ["Deployment", "Job"] {
            let pod = &of_kind(&objects, kind).unwrap()["spec"]["template"]["spec"];
            assert_eq!(pod["containers"][0]["image"], expected.as_str(), "{kind}");
        }
    }
}

/// Everything of `monitoring` at once.
fn monitored() -> Vec<Value> {
    rendered(json!({
        "networkPolicy": {"enabled": true},
        "monitoring": {
            "serviceMonitor": {"enabled": true, "labels": {"release": "prometheus"}},
            "prometheusRule": {"enabled": true},
            "dashboard": {"enabled": true, "annotations": {"grafana_folder": "Schools"}}
        }
    }))
}

#[test]
fn prometheus_finds_the_port_by_the_service_and_is_let_in() {
    let objects = monitored();
    let [monitor, service, policy] =
        ["ServiceMonitor", "Service", "NetworkPolicy"].map(|kind| of_kind(&objects, kind).unwrap());
    let template = &of_kind(&objects, "Deployment").unwrap()["spec"]["template"];
    assert!(selects(&monitor["spec"]["selector"], service), "{monitor}");
    assert!(selects(&json!({"matchLabels": service["spec"]["selector"]}), template), "{service}");
    assert_eq!(monitor["metadata"]["labels"]["release"], "prometheus");
    assert_eq!(monitor["spec"]["endpoints"][0]["port"], service["spec"]["ports"][0]["name"]);
    let container = &template["spec"]["containers"][0];
    let ports = container["ports"].as_array().unwrap();
    let port = ports.iter().find(|port| port["name"] == service["spec"]["ports"][0]["targetPort"]).unwrap();
    let number = &port["containerPort"];
    let flag = format!("--metrics-address=0.0.0.0:{number}");
    assert!(container["args"].as_array().unwrap().contains(&json!(flag)), "{flag}");
    assert_eq!(policy["spec"]["ingress"], json!([{"ports": [{"port": number, "protocol": "TCP"}]}]));
}

#[test]
fn without_monitoring_nothing_of_it_is_there() {
    let objects = rendered(json!({
        "networkPolicy": {"enabled": true},
        "monitoring": {"enabled": false, "serviceMonitor": {"enabled": true}, "dashboard": {"enabled": true}}
    }));
    for kind in ["Service", "ServiceMonitor", "PrometheusRule"] {
        assert_eq!(of_kind(&objects, kind), None, "{kind}");
    }
    let container = &of_kind(&objects, "Deployment").unwrap()["spec"]["template"]["spec"]["containers"][0];
    assert!(container["args"].as_array().unwrap().contains(&json!("--metrics-address=off")));
    assert_eq!(of_kind(&objects, "NetworkPolicy").unwrap()["spec"]["ingress"], json!([]));
}

/// What promtool and the parser of queries have looked at is what is installed.
#[test]
fn alerts_and_dashboard_are_those_of_the_files() {
    let objects = monitored();
    let file = |name: &str| {
        std::fs::read_to_string(helm_chart::folder().join("files/monitoring").join(name)).unwrap()
    };
    let rules: Value = serde_saphyr::from_str(&file("rules.yaml")).unwrap();
    assert_eq!(of_kind(&objects, "PrometheusRule").unwrap()["spec"], rules);
    let map = objects.iter().find(|object| object["metadata"]["labels"]["grafana_dashboard"] == "1").unwrap();
    let [installed, dashboard]: [Value; 2] =
        [map["data"]["edusync.json"].as_str().unwrap(), &file("dashboard.json")]
            .map(|text| serde_json::from_str(text).unwrap());
    assert_eq!(installed, dashboard);
    assert_eq!(map["metadata"]["annotations"]["grafana_folder"], "Schools");
}

//! The example repository of `examples/gitops`: what each school's folder makes of the base is taken by the API server, and
//! what Argo CD and Flux are told to read is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::world::World;

fn layout() -> PathBuf {
    xtask::repository_root().join("examples/gitops")
}

/// The manifests of all files of a folder.
fn manifests(folder: &str) -> Vec<Value> {
    let entries = fs::read_dir(layout().join(folder)).unwrap();
    let files = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    files
        .flat_map(|file| serde_saphyr::from_multiple::<Value>(&fs::read_to_string(file).unwrap()).unwrap())
        .collect()
}

/// The folders below `schools` that are applied.
fn schools() -> BTreeSet<String> {
    let entries = fs::read_dir(layout().join("schools")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name != "base").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_school_is_taken_by_the_api_server() {
    let world = World::get().await;
    let folder = tempfile::tempdir().unwrap();
    for school in schools() {
        let path = layout().join("schools").join(&school);
        let built = world.kubectl(["kustomize", path.to_str().unwrap()]).output().unwrap();
        assert!(built.status.success(), "{built:?}");
        let objects: Vec<Value> =
            serde_saphyr::from_multiple(std::str::from_utf8(&built.stdout).unwrap()).unwrap();
        let kinds: Vec<&str> = objects.iter().map(|object| object["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["Namespace", "EducationSyncProfile", "GraphConnection"]);
        for object in &objects {
            let annotations = &object["metadata"]["annotations"];
            assert_eq!(annotations["kustomize.toolkit.fluxcd.io/prune"], "disabled", "{object:#}");
            assert_eq!(annotations["argocd.argoproj.io/sync-options"], "Prune=confirm,Delete=confirm");
        }
        // A dry run needs the namespace.
        let namespace = format!("school-{school}");
        let made = world.kubectl(["create", "namespace", &namespace]).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        let file = folder.path().join(&school);
        fs::write(&file, &built.stdout).unwrap();
        let apply =
            ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "-f"];
        let applied = world.kubectl(apply).arg(&file).output().unwrap();
        assert!(applied.status.success(), "{applied:?}");
    }
}

#[test]
fn what_argo_cd_and_flux_read_is_there() {
    let mut paths = Vec::new();
    let mut kustomizations = BTreeSet::new();
    let mut needed = BTreeSet::new();
    for manifest in manifests("flux").into_iter().chain(manifests("argocd")) {
        let spec = &manifest["spec"];
        if manifest["kind"] == "Kustomization" {
            kustomizations.insert(manifest["metadata"]["name"].as_str().unwrap().to_owned());
            assert_eq!(spec["wait"], true, "{manifest:#}");
            paths.push(layout().join(spec["path"].as_str().unwrap()));
            let names = spec["dependsOn"].as_array().into_iter().flatten();
            needed.extend(names.map(|other| other["name"].as_str().unwrap().to_owned()));
        }
        if let Some(path) = spec["source"]["path"].as_str() {
            paths.push(xtask::repository_root().join(path));
        }
        for generator in spec["generators"].as_array().into_iter().flatten() {
            for directory in generator["git"]["directories"].as_array().unwrap() {
                paths.push(layout().join(directory["path"].as_str().unwrap().trim_end_matches("/*")));
            }
        }
    }
    let operator = manifests("flux/operator");
    let release = operator.iter().find(|manifest| manifest["kind"] == "HelmRelease").unwrap();
    paths.push(xtask::repository_root().join(release["spec"]["chart"]["spec"]["chart"].as_str().unwrap()));
    assert_eq!(paths.len(), 7, "{paths:?}");
    for path in &paths {
        assert!(Path::is_dir(path), "{}", path.display());
    }
    assert!(needed.is_subset(&kustomizations), "{needed:?} {kustomizations:?}");
    for school in schools() {
        assert!(kustomizations.contains(&format!("school-{school}")), "Flux does not know {school}");
    }
}

/// The values that both name are values of the chart.
#[tokio::test(flavor = "multi_thread")]
async fn the_values_are_those_of_the_chart() {
    let world = World::get().await;
    let folder = tempfile::tempdir().unwrap();
    let all = manifests("flux/operator").into_iter().chain(manifests("argocd"));
    let values: Vec<Value> = all
        .flat_map(|manifest| {
            let spec = &manifest["spec"];
            [spec["values"].clone(), spec["source"]["helm"]["valuesObject"].clone()]
        })
        .filter(|values| !values.is_null())
        .collect();
    assert_eq!(values.len(), 2);
    let chart = xtask::repository_root().join("charts/edusync");
    for values in values {
        let file = folder.path().join("values.yaml");
        fs::write(&file, values.to_string()).unwrap();
        let mut helm = world.helm(["template", "edusync", chart.to_str().unwrap(), "--values"]);
        let rendered = helm.arg(&file).output().unwrap();
        assert!(rendered.status.success(), "{rendered:?}");
    }
}

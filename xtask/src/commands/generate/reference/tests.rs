use serde_json::json;

use super::*;

fn definition() -> Value {
    let reference = json!({
        "type": "object", "required": ["name"], "description": "Where it is.",
        "x-kubernetes-validations": [{"rule": "true", "message": "a rule of the object"}],
        "properties": {"name": {"type": "string", "maxLength": 9, "description": "Its *name*, as in `a_b`."}}
    });
    json!({"spec": {
        "group": "example.dev", "scope": "Namespaced",
        "names": {"kind": "Thing", "plural": "things", "shortNames": ["th"], "categories": ["all"]},
        "versions": [
            {"name": "v1", "served": true,
             "additionalPrinterColumns": [
                {"name": "Age", "jsonPath": ".metadata.creationTimestamp"},
                {"name": "Id", "jsonPath": ".status.id", "priority": 1, "description": "Its id"}
             ],
             "schema": {"openAPIV3Schema": {"description": "A thing.", "properties": {
                "spec": {
                    "type": "object", "description": "What is wanted.",
                    "x-kubernetes-validations": [{"rule": "true", "message": "one of both"}],
                    "properties": {
                        "one": reference,
                        "many": {
                            "type": "array", "items": reference,
                            "x-kubernetes-validations": [{"rule": "true", "message": "not too many"}]
                        },
                        "flag": {"type": "boolean", "x-kubernetes-validations": [{"rule": "self", "message": "always"}]}
                    }
                },
                "status": {"type": "object", "description": "How it is.", "properties": {"id": {"type": "string"}}}
             }}}},
            {"name": "v0", "served": false}
        ]
    }})
}

#[test]
fn a_definition_becomes_a_chapter() {
    let page = page(&[definition()]);
    let chapter = page.split_once("\n## ").unwrap().1;
    let expected = "\
Thing

A thing.

- `apiVersion: example.dev/v1`, `kind: Thing`
- Scope: Namespaced
- Names for kubectl: `things`, `th`
- Categories: `all`

### Columns of Thing

| Column | Shows | Meaning |
|---|---|---|
| Age | `.metadata.creationTimestamp` |  |
| Id (`-o wide`) | `.status.id` | Its id |

### Thing.spec

What is wanted.

*one of both*

- **`flag`** (boolean, optional)
  - *always*
- **`many`** ([list of objects](#thingspecmany), optional)
  - *not too many*
- **`one`** ([object](#thingspecmany), optional): Where it is.

### Thing.spec.many[]

The same fields are in `Thing.spec.one`.

*a rule of the object*

- **`name`** (string, required, at most 9 characters): Its \\*name\\*, as in `a_b`.

### Thing.status

How it is.

- **`id`** (string, optional)
";
    assert_eq!(chapter, expected);
}

#[test]
fn an_anchor_is_what_markdown_makes_of_the_heading() {
    assert_eq!(anchor("Thing.spec.manyThings[]"), "thingspecmanythings");
}

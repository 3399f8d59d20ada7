//! What can be set, and what is told where it cannot.

use super::*;

#[test]
fn a_wrong_setting_is_refused_with_key_value_and_what_is_allowed() {
    let cases: [(&str, &[&str]); 15] = [
        (
            "[[erp.maintenance]]\nfrom = '02:00'\nuntil = '03:00'\ntime_zone = 'Mars/Olympus'",
            &["erp.maintenance[0].time_zone", "Mars/Olympus", "Europe/Berlin"],
        ),
        (
            "[store]\nkind = 'postgres'",
            &["store.postgres.url", "exactly one"],
        ),
        ("[store]\nkind = 'oracle'", &["store.kind", "oracle", "postgres"]),
        (
            "[store.postgres]\nurl_env = 'DATABASE_URL'",
            &["store.kind", "embedded"],
        ),
        ("[node]\nshards = 0", &["node.shards", "\"0\"", "1 to 256"]),
        ("[node]\nshards = 300", &["node.shards", "\"300\"", "1 to 256"]),
        ("[node]\nshards = 'two'", &["node.shards", "two", "usize"]),
        ("[node]\nshard = 1", &["node", "shard", "shards"]),
        ("[nodes]\nshards = 1", &["nodes", "node", "store"]),
        (
            "[store]\npartitions = 5000",
            &["store.partitions", "5000", "1 to 4096"],
        ),
        ("[store]\ndirectory = ''", &["store.directory", "a directory"]),
        (
            "[node]\nshards = 0\n[store]\ncache_mib = 0\n[erp]\nconcurrency = 0",
            &["node.shards", "store.cache_mib", "erp.concurrency"],
        ),
        (
            "[reconciliation]\ngrace_seconds = 90000",
            &["reconciliation.grace_seconds", "0 to 86400"],
        ),
        (
            "[reconciliation]\nraised_percent = '101'",
            &["reconciliation.raised_percent", "100"],
        ),
        ("[node", &["1"]),
    ];
    for (text, parts) in cases {
        let error = parse(text).unwrap_err();
        for part in parts {
            assert!(error.contains(part), "{text}: {error} lacks {part}");
        }
    }
    let partner = |name: &str, directory: &str| {
        format!(
            "[[edi]]\nname = '{name}'\ndirectory = '{directory}'\nours = {{ qualifier = 'ZZ', id = 'US' }}\n\
             theirs = {{ qualifier = 'ZZ', id = 'THEM' }}\n"
        )
    };
    let (_, example) = include_str!("../../docs/edi.md").split_once("```toml\n").unwrap();
    let example = parse(example.split_once("```").unwrap().0).unwrap();
    assert_eq!(example.edi[0].orders.as_ref().unwrap().customers.len(), 1);
    let edi = "[[channels]]\nname = 'a'\nkind = 'edi'\npartner = 'acme'\n";
    parse(&format!("{edi}{}", partner("acme", "x"))).unwrap();
    for (text, key) in [
        (partner("acme", "x") + &partner("acme", "y"), "edi[1].name"),
        (partner("acme", "x") + &partner("bolt", "x"), "edi[1].directory"),
        (edi.to_owned() + &partner("bolt", "x"), "channels.a.partner"),
    ] {
        assert!(parse(&text).unwrap_err().contains(key), "{text}");
    }
    let channel = "[[channels]]\nname = 'a'\nkind = 'amqp'\nexchange = 'x'\n";
    assert!(
        parse(&channel.repeat(2))
            .unwrap_err()
            .contains("channels[1].name")
    );
}

#[test]
fn a_channel_is_priced_by_the_list_that_it_publishes_unless_its_rules_name_another() {
    let channel = |name: &str, list: &str| {
        format!(
            "[[channels]]\nname = '{name}'\nkind = 'amqp'\nprices_exchange = 'x'\npublishes = ['price']\n\
             price_list = {{ list = '{list}', currency = 'EUR' }}\n"
        )
    };
    let rules = "[orders.shop]\nprice_list = 'MEMBERS'\n[orders.edi]\n";
    let config = parse(&(channel("web", "RETAIL") + &channel("shop", "SHOP") + rules)).unwrap();
    let rules = config.order_rules();
    let list = |channel: &str| {
        rules
            .of(channel)
            .price_list
            .as_ref()
            .map(|list| list.as_str().to_owned())
    };
    let lists = ["web", "shop", "edi", "other"].map(list);
    assert_eq!(lists, [Some("RETAIL".into()), Some("MEMBERS".into()), None, None]);
}

#[test]
fn the_order_rules_of_the_documentation_can_be_used_and_wrong_ones_are_refused() {
    let chapter = include_str!("../../docs/orders.md");
    let (_, example) = chapter.split_once("```toml\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let rules = parse(example).unwrap().order_rules();
    let percent = rules.of("web").price_tolerance.percent.get().to_string();
    assert_eq!(
        (percent.as_str(), rules.of("web").minimum_amount.len()),
        ("1.5", 1)
    );
    assert!(rules.of("edi").minimum_amount.is_empty());
    let cases: [(&str, &[&str]); 3] = [
        (
            "[orders.web]\nprice_tolerance = { percent = '101' }",
            &["orders.web.price_tolerance.percent", "100"],
        ),
        (
            "[orders.web]\nminimum_amount = { euro = '1' }",
            &["orders.web.minimum_amount", "ISO 4217"],
        ),
        ("[orders.web]\nminimum = '1'", &["orders.web", "minimum_amount"]),
    ];
    for (text, parts) in cases {
        let error = parse(text).unwrap_err();
        for part in parts {
            assert!(error.contains(part), "{text}: {error} lacks {part}");
        }
    }
}

#[test]
fn the_readings_of_the_documentation_can_be_used() {
    let (_, chapter) = include_str!("../../docs/erp.md")
        .split_once("## What is read in")
        .unwrap();
    let (_, example) = chapter.split_once("```toml\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let config = parse(&format!("[erp]\nkind = 'http'\nurl = 'http://erp'\n{example}")).unwrap();
    assert_eq!(config.erp.read.len(), 2);
    let error = parse(example).unwrap_err();
    assert!(
        error.contains("erp.read[0].what") && error.contains("capabilities"),
        "{error}"
    );
}

#[test]
fn the_example_and_an_empty_file_can_be_used() {
    parse("").unwrap();
    parse(include_str!("../../docs/lockstep.example.toml")).unwrap();
}

#[test]
fn the_table_of_the_documentation_can_be_used_and_a_wrong_one_is_refused() {
    let chapter = include_str!("../../docs/governance.md");
    let (_, example) = chapter.split_once("```toml\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let table = parse(example).unwrap().ownership();
    assert_eq!(table.version, 2);
    assert!(table.speaks_for("shop-eu", "web-b2b") && !table.speaks_for("web", "edi"));
    let cases: [(&str, &[&str]); 3] = [
        ("[ownership]\nversion = 0", &["ownership.version", "at least 1"]),
        (
            "[ownership]\nversion = 1\n[ownership.owners.'stock.onhand']\nupdate = []",
            &["stock.onhand", "stock.on_hand"],
        ),
        (
            "[ownership]\nversion = 2\n[ownership.roles]\nerp = ['erp']",
            &["ownership.owners", "is not listed", "roles are erp"],
        ),
    ];
    for (text, parts) in cases {
        let error = parse(text).unwrap_err();
        for part in parts {
            assert!(error.contains(part), "{text}: {error} lacks {part}");
        }
    }
}

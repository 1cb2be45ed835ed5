//! What an address may lead to.

use dajet_core::query::{Body, Expr, Output, Select, Statement};
use dajet_core::{ErrorClass, Value};

use super::fixture::*;

async fn probe(root: &std::path::Path, address: &str) -> Result<(), String> {
    let service = open(root, address).map_err(|e| e.message)?;
    match service.execute(&select_one(), &[Vec::new()]).await {
        Ok(answer) => {
            assert_eq!(answer.groups, [[[Value::Integer(1)]]]);
            Ok(())
        }
        Err(error) => {
            assert_eq!(error.class, ErrorClass::Misconfigured, "{error}");
            Err(error.message)
        }
    }
}

#[tokio::test]
async fn a_file_is_created_unless_its_mode_forbids() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let error = probe(root, "sqlite://нет.db?mode=ReadWrite")
        .await
        .unwrap_err();
    assert!(error.contains("no such file"), "{error}");
    assert!(!root.join("нет.db").exists());
    let error = probe(root, "sqlite://нет/нет.db").await.unwrap_err();
    assert!(error.contains("there is no folder"), "{error}");
    let service = open(root, "sqlite://%D0%B5%D1%81%D1%82%D1%8C%20%23.db").unwrap();
    let mut claim = service.begin().await.unwrap();
    claim.execute(&select_one(), &[Vec::new()]).await.unwrap();
    claim.commit().await.unwrap();
    assert!(root.join("есть #.db").exists());
    probe(root, "sqlite://есть %23.db?mode=readonly")
        .await
        .unwrap();
    let absolute = format!("sqlite://{}", root.join("есть %23.db").display());
    probe(std::path::Path::new("/"), &absolute).await.unwrap();
    let one = open(root, "sqlite://x.db").unwrap();
    let two = open(root, &format!("sqlite://{}/./x.db", root.display())).unwrap();
    assert_eq!(one.identity(), two.identity());
}

#[tokio::test]
async fn reading_creates_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let error = probe(root, "sqlite://нет.db").await.unwrap_err();
    assert!(
        error.ends_with("нет.db\": the file does not exist"),
        "{error}"
    );
    let service = open(root, "sqlite://нет.db").unwrap();
    let error = refused(service.describe(&["q".into()]).await);
    assert_eq!(error.class, ErrorClass::Misconfigured);
    let hint = error.hint.as_deref().unwrap_or_default();
    assert!(
        hint.ends_with("make the database with its tables first."),
        "{hint}"
    );
    assert!(
        error.message.ends_with("the file does not exist"),
        "{error}"
    );
    assert!(!root.join("нет.db").exists());
    // the file may come later
    let other = rusqlite::Connection::open(root.join("нет.db")).unwrap();
    other
        .execute_batch("CREATE TABLE q(id INTEGER PRIMARY KEY)")
        .unwrap();
    table(&*service, "q").await;
}

#[tokio::test]
async fn a_queue_whose_file_was_removed_is_not_created_anew() {
    let fixture = Fixture::new("CREATE TABLE q(id INTEGER PRIMARY KEY); INSERT INTO q VALUES (1)");
    let mut source = fixture.source("q", &["id"], 5).await;
    batch(&mut *source).await.claim.release().await.unwrap();
    let path = fixture.folder.path().join("очередь.db");
    std::fs::remove_file(&path).unwrap();
    let error = refused(read_with(&mut *source, ALL, &[]).await);
    assert_eq!(error.class, ErrorClass::Misconfigured, "{error}");
    assert!(!path.exists());
}

#[tokio::test]
async fn what_is_no_database_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("папка.db")).unwrap();
    std::fs::write(folder.path().join("мусор.db"), [0xAB; 5000]).unwrap();
    let error = probe(folder.path(), "sqlite://папка.db").await.unwrap_err();
    assert!(error.ends_with("папка.db\": it is a folder"), "{error}");
    let error = probe(folder.path(), "sqlite://мусор.db").await.unwrap_err();
    assert!(
        error.ends_with("мусор.db\": file is not a database"),
        "{error}"
    );
}

#[tokio::test]
async fn a_read_only_file_is_read_and_not_written() {
    let fixture = Fixture::new("CREATE TABLE q(id INTEGER PRIMARY KEY); INSERT INTO q VALUES (1)");
    let service = open(fixture.folder.path(), "sqlite://очередь.db?mode=ReadOnly").unwrap();
    let table = table(&*service, "q").await;
    let answer = service
        .execute(&select(&table, &["id"], &[]), &[Vec::new()])
        .await
        .unwrap();
    assert_eq!(answer.groups, [[[Value::Integer(1)]]]);
    let write = insert(&table, &["id"]);
    let error = refused(service.execute(&write, &[vec![Value::Integer(2)]]).await);
    assert_eq!(error.class, ErrorClass::Misconfigured, "{error}");
}

#[tokio::test]
async fn a_database_in_memory_is_shared_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let one = open(folder.path(), "sqlite://память?mode=Memory").unwrap();
    let two = open(folder.path(), "sqlite://память?mode=Memory").unwrap();
    assert_eq!(one.identity(), two.identity());
    let query = Select {
        distinct: false,
        top: None,
        columns: vec![Output {
            name: "n".into(),
            expr: Expr::Call(dajet_core::query::Function::Vector("п".into()), Vec::new()),
            data_type: None,
        }],
        from: None,
        filter: None,
        order: Vec::new(),
        ..Select::default()
    };
    let next = Statement::new(0, Body::Select(query));
    let mut claim = one.begin().await.unwrap();
    let first = claim.execute(&next, &[Vec::new()]).await.unwrap();
    claim.commit().await.unwrap();
    let second = two.execute(&next, &[Vec::new()]).await.unwrap();
    assert_eq!(
        (&first.groups[0][0][0], &second.groups[0][0][0]),
        (&Value::Integer(1), &Value::Integer(2))
    );
    assert!(!folder.path().join("память").exists());
}

#[tokio::test]
async fn a_replaced_file_is_opened_anew() {
    let fixture = Fixture::new("CREATE TABLE q(id INTEGER PRIMARY KEY); INSERT INTO q VALUES (1)");
    let mut source = fixture.source("q", &["id"], 5).await;
    let one = batch(&mut *source).await;
    let path = fixture.folder.path().join("очередь.db");
    std::fs::remove_file(&path).unwrap();
    let fresh = rusqlite::Connection::open(&path).unwrap();
    fresh
        .execute_batch("CREATE TABLE q(id INTEGER PRIMARY KEY); INSERT INTO q VALUES (2)")
        .unwrap();
    assert_eq!(
        refused(one.claim.commit().await).class,
        ErrorClass::Transient
    );
    assert_eq!(batch(&mut *source).await.first(), [2]);
}

#[tokio::test]
async fn a_commit_to_a_file_that_is_gone_is_no_success() {
    let fixture = Fixture::new("CREATE TABLE t(id INTEGER PRIMARY KEY)");
    let target = fixture.table("t").await;
    let mut claim = fixture.service.begin().await.unwrap();
    claim
        .execute(&insert(&target, &["id"]), &[vec![Value::Integer(1)]])
        .await
        .unwrap();
    std::fs::remove_file(fixture.folder.path().join("очередь.db")).unwrap();
    let error = refused(claim.commit().await);
    assert_eq!(error.class, ErrorClass::Transient);
    assert!(
        error.message.ends_with("the file was removed or replaced"),
        "{error}"
    );
}

#[tokio::test]
async fn a_mapping_file_gives_logical_names() {
    let fixture = Fixture::new(
        "CREATE TABLE _InfoRg134(_Fld135 NUMERIC(19,0) PRIMARY KEY, _Fld138 TEXT, _Fld140_TRef BLOB, _Fld140_RRef BLOB);
         INSERT INTO _InfoRg134 VALUES (7, 'тело', x'00000024', x'9d479c644dc348401f1024afaf738206');",
    );
    let name = "РегистрСведений.ИсходящиеСообщения";
    let lines = [
        format!("{name}.НомерСообщения\t_InfoRg134\t_Fld135\tnumeric(19,0)\tnumeric(19,0)\t134"),
        format!("{name}.ТелоСообщения\t_InfoRg134\t_Fld138\tnvarchar(max)\tvarchar\t134"),
        format!(
            "{name}.Автор\t_InfoRg134\t_Fld140_TRef,_Fld140_RRef\tbinary(4);binary(16)\tbytea;bytea\t134"
        ),
    ];
    std::fs::write(fixture.folder.path().join("карта.tsv"), lines.join("\n")).unwrap();
    let service = open(fixture.folder.path(), "sqlite://очередь.db?map=карта.tsv").unwrap();
    let table = table(&*service, name).await;
    let statement = Statement::new(0, Body::Drain(drain(&table, &["НомерСообщения"], 5)));
    let mut source = service.source(spec(statement)).unwrap();
    let one = batch(&mut *source).await;
    assert_eq!(one.first(), [7]);
    let uuid = uuid::Uuid::parse_str("649c479d-c34d-4048-1f10-24afaf738206").unwrap();
    assert_eq!(
        one.rows[0][2],
        Value::Entity(dajet_core::Entity { code: 36, uuid })
    );
    one.claim.commit().await.unwrap();
    assert!(fixture.ask("SELECT 1 FROM _InfoRg134").is_empty());
}

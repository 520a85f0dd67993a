//! The journal on a real PostgreSQL: the contract of every journal, and what only a server can do to a runner.
//! `tests/servers/postgres.sh` starts one.

#[path = "../../journal/suite/mod.rs"]
#[macro_use]
#[allow(dead_code)]
pub mod suite;
mod many;
mod stopped;
mod trouble;
mod world;

use async_trait::async_trait;
use sqlx::Connection as _;
use suite::Broken;

/// A database of its own; dropped with this.
pub struct Postgres {
    admin: String,
    name: String,
}

impl Postgres {
    /// Its URL, with these parameters.
    pub fn url(&self, parameters: &str) -> String {
        let (server, _) = self.admin.rsplit_once('/').expect("KEYROLL_TEST_POSTGRES names a database");
        format!("{server}/{}?{parameters}", self.name)
    }

    /// Its only row's only number.
    pub async fn number(&self, sql: &'static str) -> Result<i64, sqlx::Error> {
        sqlx::any::install_default_drivers();
        let mut connection = sqlx::AnyConnection::connect(&self.url("")).await?;
        sqlx::raw_sql("SET search_path = keyroll").execute(&mut connection).await?;
        sqlx::query_scalar(sql).fetch_one(&mut connection).await
    }

    /// SQL behind keyroll's back.
    pub async fn tamper(&self, sql: &str) -> Result<(), sqlx::Error> {
        suite::tamper(&self.url(""), &format!("SET search_path = keyroll; {sql}")).await
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let (admin, text) = (self.admin.clone(), format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
        let drop = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
            runtime.block_on(suite::tamper(&admin, &text)).ok()
        };
        // Not waited for: a connection of this very thread may be half-way in, and the server waits for it.
        std::thread::spawn(drop);
    }
}

#[async_trait]
impl suite::Server for Postgres {
    const CHILD: &'static str = "postgres::child";
    const ROUNDS: u64 = 2;

    async fn start() -> Result<Self, Broken> {
        let admin = crate::server("KEYROLL_TEST_POSTGRES");
        let name = format!("keyroll_{:016x}", fastrand::u64(..));
        suite::tamper(&admin, &format!("CREATE DATABASE {name}")).await?;
        Ok(Self { admin, name })
    }

    fn place(&self) -> String {
        self.url("keyroll_lease=5")
    }

    fn sql(&self) -> (String, &'static str) {
        (self.url(""), "SET search_path = keyroll; ")
    }

    async fn forget(&self) -> Result<(), Broken> {
        Ok(self.tamper("UPDATE lease SET until = clock_timestamp() - INTERVAL '1 second'").await?)
    }

    async fn drivers(&self) -> Result<usize, Broken> {
        Ok(usize::try_from(self.number("SELECT COUNT(*) FROM lease").await?)?)
    }
}

contract!(Postgres);

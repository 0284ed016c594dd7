//! Migrations, as each database describes its own.

/// A migration: one step of the schema.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Migration {
    /// The number of the migration, which orders migrations.
    pub version: i64,
    /// A short description of the change.
    pub description: String,
    /// True if the database has this migration.
    pub applied: bool,
}

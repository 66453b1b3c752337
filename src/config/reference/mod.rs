//! The reference of all settings: name, default and meaning. `docs/configuration.md` is written from it, and tests compare
//! it with the tables that are parsed.

mod settings;

pub use self::settings::TABLES;

/// A table of the configuration file.
#[derive(Clone, Copy, Debug)]
pub struct SettingsTable {
    /// Its name, such as `ingress`; empty for settings outside of all tables.
    pub name: &'static str,
    /// What it is for, in one sentence.
    pub purpose: &'static str,
    /// Its settings.
    pub settings: &'static [Setting],
}

/// A setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its name within the table.
    pub name: &'static str,
    /// Its default.
    pub default: DefaultValue,
    /// Least and greatest value of a number, or of each number of a list.
    pub range: Option<(f64, f64)>,
    /// What it does, in plain words.
    pub meaning: &'static str,
}

/// What applies when a setting is not in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultValue {
    /// This value, as TOML.
    Toml(&'static str),
    /// Nothing: the setting must be given.
    Required,
    /// What these words say.
    Other(&'static str),
}

impl Setting {
    /// The same setting with a least and a greatest value.
    const fn between(self, least: f64, most: f64) -> Self {
        Self { range: Some((least, most)), ..self }
    }
}

impl SettingsTable {
    /// The full name of one of its settings, such as `merchants[].region`.
    pub fn path(&self, setting: &Setting) -> String {
        match self.name {
            "" => setting.name.to_owned(),
            table => format!("{table}.{}", setting.name),
        }
    }
}

#[cfg(test)]
mod tests;

//! The least and the greatest value of each number, as [`reference`](super::reference) has them.

use toml::{Table, Value};

use super::reference::{Setting, SettingsTable, TABLES};
use super::{Mistake, mistake};

/// Numbers of the file that are out of their range.
pub(super) fn mistakes(file: &Table) -> Vec<Mistake> {
    let settings = TABLES.iter().flat_map(|table| table.settings.iter().map(move |setting| (table, setting)));
    settings.filter_map(|(table, setting)| out_of_range(file, table, setting)).collect()
}

fn out_of_range(file: &Table, table: &SettingsTable, setting: &Setting) -> Option<Mistake> {
    let (least, most) = setting.range?;
    let value = file.get(table.name)?.get(setting.name)?;
    let is_within = |number: &Value| as_f64(number).is_none_or(|number| (least..=most).contains(&number));
    let is_right = value.as_array().map_or_else(|| is_within(value), |list| list.iter().all(is_within));
    let which = if value.is_array() { "each number must be" } else { "must be" };
    let what = format!("{which} between {least} and {most}. {}", setting.meaning);
    (!is_right).then(|| mistake(table.path(setting), what))
}

/// None of what is no number, which serde reports.
fn as_f64(value: &Value) -> Option<f64> {
    value.as_float().or_else(|| value.as_integer().map(|number| number as f64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file;
    use crate::config::reference::DefaultValue;

    /// Each number of the file with its table; merchants check their only one themselves.
    fn numbers() -> Vec<(&'static SettingsTable, &'static Setting, Value)> {
        let settings = TABLES.iter().flat_map(|table| table.settings.iter().map(move |setting| (table, setting)));
        let number = |(table, setting): (&'static SettingsTable, &'static Setting)| {
            let DefaultValue::Toml(default) = setting.default else { return None };
            let value = format!("x = {default}").parse::<Table>().unwrap().remove("x").unwrap();
            let of_list = value.as_array().and_then(|list| list.first()).unwrap_or(&value).clone();
            (as_f64(&of_list).is_some() && table.name != "merchants[]").then_some((table, setting, value))
        };
        settings.filter_map(number).collect()
    }

    /// The mistakes about one setting.
    fn mistakes_about(path: &str, toml: &str) -> Vec<String> {
        let mistakes = file::parse(toml, []).map_or_else(|mistake| vec![mistake], |file| file.mistakes());
        mistakes.iter().filter(|mistake| mistake.setting.starts_with(path)).map(ToString::to_string).collect()
    }

    fn toml(table: &SettingsTable, setting: &Setting, default: &Value, number: f64) -> String {
        let of_list = default.as_array().and_then(|list| list.first()).unwrap_or(default);
        let number = if of_list.is_float() { format!("{number:?}") } else { format!("{}", number as i64) };
        let value = if default.is_array() { format!("[{number}]") } else { number };
        format!("[{}]\n{} = {value}\n", table.name, setting.name)
    }

    #[test]
    fn each_number_is_bounded() {
        let numbers = numbers();
        assert!(numbers.len() > 40, "{}", numbers.len());
        for (table, setting, default) in numbers {
            let path = table.path(setting);
            let (least, most) = setting.range.unwrap_or_else(|| panic!("{path} has no range"));
            for beyond in [least - 1.0, most + 1.0, i64::MAX as f64] {
                let mistakes = mistakes_about(&path, &toml(table, setting, &default, beyond));
                assert!(!mistakes.is_empty(), "{path} = {beyond} is accepted");
            }
            for allowed in [least, most] {
                let mistakes = mistakes_about(&path, &toml(table, setting, &default, allowed));
                let is_about_range = |mistake: &String| mistake.contains("must be between");
                assert!(!mistakes.iter().any(is_about_range), "{path} = {allowed}: {mistakes:?}");
            }
        }
    }

    #[test]
    fn number_that_is_none_is_refused() {
        for wrong in ["nan", "inf", "-inf"] {
            let mistakes = mistakes_about("quota.share", &format!("[quota]\nshare = {wrong}\n"));
            assert!(mistakes[0].starts_with("quota.share: must be between 0.01 and 1. The fraction"), "{mistakes:?}");
        }
    }
}

//! The report as a table for people and as JSON for programs.
//!
//! Not here: where it goes.

use super::{Need, Report};

impl Report {
    /// Lines of text: what each need has, and below what is missing how to get it.
    pub fn to_text(&self) -> String {
        let width = self.findings.iter().map(|finding| finding.what.chars().count()).max().unwrap_or(0);
        let mut text = String::new();
        for need in Need::ALL {
            let able = if self.can(need) { "can be used" } else { "cannot be used" };
            text.push_str(&format!("{} ({}): {able}\n", title(need), need.name()));
            for finding in self.findings.iter().filter(|finding| finding.need == need) {
                text.push_str(&format!("  {:<8}{:<width$}  {}\n", finding.state.name(), finding.what, finding.found));
                if let Some(fix) = &finding.fix {
                    text.push_str(&format!("  {:<8}{:<width$}  -> {fix}\n", "", ""));
                }
            }
        }
        text
    }

    /// The same as JSON.
    pub fn to_json(&self) -> String {
        let able: serde_json::Map<_, _> =
            Need::ALL.iter().map(|need| (need.name().to_owned(), self.can(*need).into())).collect();
        let report = serde_json::json!({ "can": able, "findings": self.findings });
        serde_json::to_string_pretty(&report).expect("texts have a JSON form")
    }
}

const fn title(need: Need) -> &'static str {
    match need {
        Need::Engine => "The engine in user space: all that this version runs",
        Need::Files => "Files as devices",
        Need::Kernel => "The dm of the running kernel, which this version does not test yet",
        Need::Guest => "Kernels in virtual machines, which this version does not test yet",
        Need::Figures => "Figures that mean something",
    }
}

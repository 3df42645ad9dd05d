//! From what was typed to what the engine takes: the checked job, the state folder, the scheduled time.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use engine::model::Findings;
use engine::model::job::{
    Checked, CheckedWindows, Draft, Every, JobSpec, MaxComputeConnection, Secret, Setting,
    SourcesSpec,
};
use engine::model::params::ScheduledTime;
use jiff::Timestamp;
use jiff::fmt::temporal::DateTimeParser;
use jiff::tz::TimeZone;

use crate::args::{JobArgs, StateArgs};
use crate::environment;
use crate::failure::Failure;

/// The file beside the job file that is read where `--sources` is not given.
const SOURCES_FILE: &str = "sources.yaml";

/// What of the process's surroundings the arguments depend on.
pub(crate) struct Surroundings<'a> {
    /// Looks an environment variable up.
    pub(crate) variable: &'a dyn Fn(&str) -> Option<String>,
    /// The zone of jobs and times that name none.
    pub(crate) time_zone: TimeZone,
    /// The scheduled time of commands that are given none.
    pub(crate) now: Timestamp,
}

impl Surroundings<'_> {
    /// Those of this process, now.
    pub(crate) fn of_process() -> Self {
        Self {
            variable: &environment::variable,
            time_zone: environment::machine_zone(),
            now: environment::now(),
        }
    }

    /// Reads the time of `flag` in `zone`, or takes that of now.
    pub(crate) fn scheduled_time(
        &self,
        flag: &str,
        at: Option<&str>,
        zone: &TimeZone,
    ) -> Result<ScheduledTime, Failure> {
        match at {
            None => Ok(ScheduledTime::new(self.now.to_zoned_datetime(zone.clone()))),
            Some(at) => ScheduledTime::parse(at, zone)
                .map_err(|error| Failure::usage(format!("{flag}: {error}"))),
        }
    }

    /// Reads `--time-zone`, or takes the machine's.
    pub(crate) fn zone(&self, name: Option<&str>) -> Result<TimeZone, Failure> {
        static PARSER: DateTimeParser = DateTimeParser::new();
        let Some(name) = name else {
            return Ok(self.time_zone.clone());
        };
        PARSER.parse_time_zone(name).map_err(|_| {
            Failure::usage(format!(
                "--time-zone: {name:?} is no known time zone; write a name such as Asia/Shanghai or an offset such as \
                 +08:00",
            ))
        })
    }

    /// The job of `args`, for the scheduled time `at` or for now.
    pub(crate) fn job(&self, args: &JobArgs, at: Option<&str>) -> Result<Checked, Failure> {
        let mut checked = self.read_job(args, at, JobSpec::check)?;
        self.complete(&mut checked.job.destination.connection);
        Ok(checked)
    }

    /// The job of `args` for the scheduled time `at` or for now, for each part that its window is cut into.
    pub(crate) fn windows(
        &self,
        args: &JobArgs,
        at: Option<&str>,
    ) -> Result<CheckedWindows, Failure> {
        let mut checked = self.read_job(args, at, JobSpec::check_windows)?;
        self.complete_all(&mut checked);
        Ok(checked)
    }

    /// The job of `args` for all scheduled times whose windows start at or after `from` and before `to`.
    pub(crate) fn backfill(
        &self,
        args: &JobArgs,
        (from, to): (&str, &str),
        every: Option<Every>,
    ) -> Result<CheckedWindows, Failure> {
        let zone = self.zone_of(args)?;
        let from = self.scheduled_time("--from", Some(from), &zone)?;
        let to = self.scheduled_time("--to", Some(to), &zone)?;
        if from.at() >= to.at() {
            return Err(Failure::usage(format!(
                "--to {to} is not after --from {from}"
            )));
        }
        let mut checked = self.read_job(args, None, |spec, setting| {
            spec.check_backfill(setting, (from.at(), to.at()), every)
        })?;
        self.complete_all(&mut checked);
        Ok(checked)
    }

    fn zone_of(&self, args: &JobArgs) -> Result<TimeZone, Failure> {
        let spec = JobSpec::parse(&args.job.to_string_lossy(), &read("job file", &args.job)?)?;
        Ok(spec.time_zone(&self.time_zone)?)
    }

    fn complete_all(&self, checked: &mut CheckedWindows) {
        for job in &mut checked.jobs {
            self.complete(&mut job.destination.connection);
        }
    }

    /// What the job of `args`, which may be unfinished, says of its topic and its table now.
    pub(crate) fn draft(&self, args: &JobArgs) -> Result<Draft, Failure> {
        self.read_job(args, None, JobSpec::draft)
    }

    fn read_job<T>(
        &self,
        args: &JobArgs,
        at: Option<&str>,
        resolve: impl FnOnce(&JobSpec, &Setting<'_>) -> Result<T, Findings>,
    ) -> Result<T, Failure> {
        let spec = JobSpec::parse(&args.job.to_string_lossy(), &read("job file", &args.job)?)?;
        let sources = match &args.sources {
            Some(path) => Some((path.clone(), read("sources file", path)?)),
            None => sources_beside(&args.job)?,
        };
        let sources = sources
            .map(|(path, text)| SourcesSpec::parse(&path.to_string_lossy(), &text))
            .transpose()?;
        let zone = spec.time_zone(&self.time_zone)?;
        let scheduled_time = self.scheduled_time("--at", at, &zone)?;
        let setting = Setting {
            scheduled_time: &scheduled_time,
            environment: args.env.as_deref(),
            sources: sources.as_ref(),
            overrides: &args.set,
            env: self.variable,
            default_time_zone: &self.time_zone,
        };
        Ok(resolve(&spec, &setting)?)
    }

    /// Completes the access key of a connection: one that is given stays; else a profile that is named, in its file; else
    /// the variables that Alibaba Cloud's own tools read, for an access key before those for a profile.
    pub(crate) fn complete(&self, connection: &mut MaxComputeConnection) {
        if connection.access_id.is_some() {
            return;
        }
        let variable = |name: &str| (self.variable)(name).filter(|value| !value.is_empty());
        let file = || variable("ALIBABA_CLOUD_CREDENTIALS_FILE").map(PathBuf::from);
        if connection.profile.is_none() && connection.credentials_file.is_none() {
            connection.access_id = variable("ALIBABA_CLOUD_ACCESS_KEY_ID");
            connection.access_secret = variable("ALIBABA_CLOUD_ACCESS_KEY_SECRET").map(Secret::new);
            connection.security_token = variable("ALIBABA_CLOUD_SECURITY_TOKEN").map(Secret::new);
            if connection.access_id.is_some() {
                return;
            }
            connection.profile = variable("ALIBABA_CLOUD_PROFILE");
            connection.credentials_file = file();
        }
        if connection.profile.is_some() && connection.credentials_file.is_none() {
            connection.credentials_file = file().or_else(|| self.file_of_profiles());
        }
    }

    /// The file in which Alibaba Cloud's tools keep profiles: the command line tool's if there is one, else the SDKs'.
    fn file_of_profiles(&self) -> Option<PathBuf> {
        let home = PathBuf::from((self.variable)("HOME")?);
        let of_tool = home.join(".aliyun/config.json");
        let there = of_tool.try_exists().unwrap_or(true);
        Some(if there {
            of_tool
        } else {
            home.join(".alibabacloud/credentials")
        })
    }

    /// The state folder: as given, or by the XDG base directory specification.
    pub(crate) fn state_folder(&self, args: &StateArgs) -> Result<PathBuf, Failure> {
        if let Some(folder) = &args.state {
            return Ok(folder.clone());
        }
        // The specification has relative paths ignored.
        let absolute = |name| {
            let path = PathBuf::from((self.variable)(name)?);
            path.is_absolute().then_some(path)
        };
        let home = || absolute("HOME").map(|home| home.join(".local/state"));
        let base = absolute("XDG_STATE_HOME").or_else(home).ok_or_else(|| {
            Failure::usage(
                "there is no place for the state of runs: neither XDG_STATE_HOME nor HOME is set to an absolute path; \
                 name a folder with --state",
            )
        })?;
        Ok(base.join("tidegate"))
    }

    /// The value of the environment variable that `flag` names.
    pub(crate) fn required_variable(&self, flag: &str, name: &str) -> Result<String, Failure> {
        (self.variable)(name)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| {
                Failure::usage(format!(
                    "{flag}: the environment variable {name} is not set; export it"
                ))
            })
    }

    /// The same where `flag` may be left out.
    pub(crate) fn variable_of(
        &self,
        flag: &str,
        name: Option<&str>,
    ) -> Result<Option<String>, Failure> {
        name.map(|name| self.required_variable(flag, name))
            .transpose()
    }
}

fn read(what: &str, path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| unreadable(what, path, &error))
}

fn unreadable(what: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(format!(
        "the {what} {} can't be read: {error}; check the path",
        path.display()
    ))
}

fn sources_beside(job: &Path) -> Result<Option<(PathBuf, String)>, Failure> {
    let path = job.with_file_name(SOURCES_FILE);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some((path, text))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable("sources file", &path, &error)),
    }
}

#[cfg(test)]
mod tests;

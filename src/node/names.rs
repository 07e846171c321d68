//! Names as ROS resolves them, and the arguments that change them.

/// What the node is called, and which of its names are others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Absolute, `/` or `/robot1`.
    pub namespace: String,
    /// Without the namespace.
    pub node: String,
    /// From and to, as given.
    pub remaps: Vec<(String, String)>,
}

/// What `--ros-args` may say, as every ROS node understands it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RosArguments {
    /// `-r __ns:=…`.
    pub namespace: Option<String>,
    /// `-r __node:=…`.
    pub node: Option<String>,
    /// Other `-r from:=to`.
    pub remaps: Vec<(String, String)>,
    /// `-p name:=value`, in their order.
    pub parameters: Vec<(String, String)>,
    /// `--params-file FILE`, in their order.
    pub params_files: Vec<String>,
    /// `--log-level LEVEL`.
    pub log_level: Option<String>,
    /// `--enclave PATH`, for security; only a transport inside ROS 2 has it.
    pub enclave: Option<String>,
}

/// Arguments or names that are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// An unknown argument.
    #[error(
        "--ros-args: {0} is not understood; known: -r from:=to, -p name:=value, --params-file FILE, --log-level LEVEL"
    )]
    Argument(String),
    /// An argument that needs a value.
    #[error("--ros-args: {0} needs a value after it")]
    MissingValue(String),
    /// No `:=`.
    #[error("--ros-args: \"{0}\" lacks \":=\", as in -r image:=/camera/image_raw")]
    NoAssignment(String),
    /// Not a ROS name.
    #[error(
        "\"{0}\" is not a ROS name: letters, digits and _, parts joined by /, no part starting with a digit, no __"
    )]
    Name(String),
}

impl RosArguments {
    /// Reads what stands after `--ros-args`, up to `--` or the end.
    ///
    /// # Errors
    /// [`NameError`] naming the argument.
    pub fn parse(arguments: &[String]) -> Result<Self, NameError> {
        let mut found = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let mut value = || rest.next().ok_or_else(|| NameError::MissingValue(argument.clone()));
            match argument.as_str() {
                "-r" | "--remap" => found.remap(value()?)?,
                "-p" | "--param" => found.parameters.push(assignment(value()?)?),
                "--params-file" => found.params_files.push(value()?.clone()),
                "--log-level" => found.log_level = Some(value()?.clone()),
                "-e" | "--enclave" => found.enclave = Some(value()?.clone()),
                // It and the flags below speak of rcl's log, which is not here.
                "--log-config-file" => drop(value()?),
                "--ros-args"
                | "--"
                | "--enable-rosout-logs"
                | "--disable-rosout-logs"
                | "--enable-stdout-logs"
                | "--disable-stdout-logs"
                | "--enable-external-lib-logs"
                | "--disable-external-lib-logs" => {}
                _ => return Err(NameError::Argument(argument.clone())),
            }
        }
        Ok(found)
    }

    fn remap(&mut self, rule: &str) -> Result<(), NameError> {
        let (from, to) = assignment(rule)?;
        // `node:from:=to` is for one node of several; this process has one.
        let from = from.split_once(':').map_or(from.as_str(), |(_, from)| from);
        match from {
            "__ns" => self.namespace = Some(to),
            "__node" | "__name" => self.node = Some(to),
            _ => self.remaps.push((from.to_owned(), to)),
        }
        Ok(())
    }
}

fn assignment(text: &str) -> Result<(String, String), NameError> {
    let (name, value) = text.split_once(":=").ok_or_else(|| NameError::NoAssignment(text.to_owned()))?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Names {
    /// Checked names; `namespace` may lack its first `/`.
    ///
    /// # Errors
    /// [`NameError::Name`].
    pub fn new(namespace: &str, node: &str, remaps: Vec<(String, String)>) -> Result<Self, NameError> {
        let namespace = format!("/{}", namespace.trim_matches('/'));
        if namespace != "/" && !is_absolute_name(&namespace) {
            return Err(NameError::Name(namespace));
        }
        if !is_part(node) {
            return Err(NameError::Name(node.to_owned()));
        }
        let names = Self { namespace, node: node.to_owned(), remaps: Vec::new() };
        for (from, to) in &remaps {
            for name in [from, to] {
                if !is_absolute_name(&names.expand(name)) {
                    return Err(NameError::Name(name.clone()));
                }
            }
        }
        Ok(Self { remaps, ..names })
    }

    /// The node's full name.
    pub fn full_name(&self) -> String {
        self.join(&self.node)
    }

    /// The absolute name of a topic or service, remapped.
    pub fn resolve(&self, name: &str) -> String {
        let expanded = self.expand(name);
        let rule = self.remaps.iter().find(|(from, _)| self.expand(from) == expanded);
        rule.map_or(expanded, |(_, to)| self.expand(to))
    }

    fn expand(&self, name: &str) -> String {
        match name.strip_prefix('~') {
            Some(private) => format!("{}{private}", self.full_name()),
            None if name.starts_with('/') => name.to_owned(),
            None => self.join(name),
        }
    }

    fn join(&self, name: &str) -> String {
        format!("{}/{name}", self.namespace.trim_end_matches('/'))
    }
}

fn is_absolute_name(name: &str) -> bool {
    name.strip_prefix('/').is_some_and(|name| name.split('/').all(is_part))
}

fn is_part(part: &str) -> bool {
    part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !part.contains("__")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(text: &str) -> Result<RosArguments, NameError> {
        RosArguments::parse(&text.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn names_expand_and_remap_as_in_ros() {
        let rules = [("image", "/head/image_raw"), ("~/people", "crowd"), ("/abs", "~/mine")];
        let rules = rules.map(|(from, to)| (from.to_owned(), to.to_owned())).to_vec();
        let names = Names::new("robot1/", "faces", rules).unwrap();
        for (name, resolved) in [
            ("image", "/head/image_raw"),
            ("/robot1/image", "/head/image_raw"),
            ("image/compressed", "/robot1/image/compressed"),
            ("~/people", "/robot1/crowd"),
            ("~/events", "/robot1/faces/events"),
            ("/diagnostics", "/diagnostics"),
            ("/abs", "/robot1/faces/mine"),
        ] {
            assert_eq!(names.resolve(name), resolved, "{name}");
        }
        assert_eq!(names.full_name(), "/robot1/faces");
        assert_eq!(Names::new("", "rostro", Vec::new()).unwrap().resolve("~/people"), "/rostro/people");
    }

    #[test]
    fn what_is_no_name_is_refused_by_name() {
        for (namespace, node, remap) in
            [("/", "2nd", None), ("a b", "n", None), ("/", "a__b", None), ("/", "n", Some("/a//b"))]
        {
            let remaps: Vec<_> = remap.map(|to| ("image".to_owned(), to.to_owned())).into_iter().collect();
            assert!(matches!(Names::new(namespace, node, remaps), Err(NameError::Name(_))), "{namespace} {node}");
        }
    }

    #[test]
    fn ros_arguments_are_read() {
        let text = "-r __ns:=/r1 -r rostro:image:=/cam -r __node:=faces -p use_sim_time:=true --params-file a.yaml --remap x:=y --log-level debug --enclave /faces --log-config-file log.conf --";
        let found = arguments(text).unwrap();
        assert_eq!((found.namespace.as_deref(), found.node.as_deref()), (Some("/r1"), Some("faces")));
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(found.remaps, [pair("image", "/cam"), pair("x", "y")]);
        assert_eq!(found.parameters, [pair("use_sim_time", "true")]);
        assert_eq!((found.params_files.len(), found.log_level.as_deref()), (1, Some("debug")));
        assert_eq!(found.enclave.as_deref(), Some("/faces"));
        assert_eq!(arguments("-r"), Err(NameError::MissingValue("-r".into())));
        assert_eq!(arguments("-r image"), Err(NameError::NoAssignment("image".into())));
        assert_eq!(arguments("--frobnicate"), Err(NameError::Argument("--frobnicate".into())));
    }
}

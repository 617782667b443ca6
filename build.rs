//! Makes `apache-headers/bindings.rs` anew from the installed headers when the feature `bindgen` asks for it; an ordinary build uses
//! the committed file and needs neither headers nor libclang. Also sets how `mod_wsgi.so` is linked.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=apache-headers/wrapper.h");
    // httpd unloads and loads modules at start and at each restart. Statics hold what outlives a configuration (supervisors, listening
    // sockets), so the first load has to be the only one.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    #[cfg(feature = "bindgen")]
    generate::bindings();
}

#[cfg(feature = "bindgen")]
mod generate {
    use std::process::Command;

    /// What a command of httpd's development package prints, split at blanks.
    fn flags(program: &str, arguments: &[&str]) -> Vec<String> {
        let output = Command::new(program).args(arguments).output().unwrap_or_else(|error| {
            panic!("{program} cannot be run ({error}); install httpd's headers: apt-get install apache2-dev, or dnf install httpd-devel")
        });
        assert!(output.status.success(), "{program} {arguments:?} failed: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).split_whitespace().map(str::to_owned).collect()
    }

    pub(crate) fn bindings() {
        let apxs = std::env::var("APXS").unwrap_or_else(|_| "apxs".to_owned());
        let include = flags(&apxs, &["-q", "INCLUDEDIR"]).join(" ");
        let mut arguments = vec![format!("-I{include}")];
        arguments.extend(flags(&apxs, &["-q", "EXTRA_CPPFLAGS"]));
        arguments.extend(flags("apr-1-config", &["--includes", "--cppflags"]));
        arguments.extend(flags("apu-1-config", &["--includes"]));
        // `default_macro_constant_type(Signed)`: httpd's constants are used as int. No `clang_macro_fallback`: what it makes of APR's
        // macros does not compile.
        bindgen::Builder::default()
            .header("apache-headers/wrapper.h")
            .clang_args(arguments)
            .allowlist_function("(ap|apr|unixd)_.*")
            .allowlist_var("(NOT_IN|GLOBAL|AP|APR|APLOG|MODULE_MAGIC|HTTP|METHODS|M|OR|ACCESS|RSRC|EXEC|DECLINED|DONE|OK|SUSPENDED|AUTHN|REQUEST|CONN|SERVER|PROXYREQ|OPT)_.*")
            .allowlist_var("(DECLINED|DONE|OK|SUSPENDED)")
            .allowlist_var("(ap|apr|unixd|core)_.*")
            .allowlist_type("(.*_rec|ap_.*|apr_.*|authn_.*|authz_.*|module|worker_score|process_score|global_score|core_.*_config|unixd_config_rec|cmd_.*)")
            .blocklist_function("ap_vrprintf|ap_rvputs|apr_(pvsprintf|vsnprintf|vformatter|table_vdo|brigade_vprintf|brigade_vputstrs|file_printf)")
            .blocklist_type("(__builtin_)?(va_list|__va_list_tag)|u?int(8|16|32|64)_t|_?_?(FILE|IO_FILE).*")
            .default_macro_constant_type(bindgen::MacroTypeVariation::Signed)
            .default_enum_style(bindgen::EnumVariation::Consts)
            .generate_comments(false)
            .derive_debug(false)
            .layout_tests(true)
            .raw_line("pub type FILE = ::std::os::raw::c_void;")
            .wrap_unsafe_ops(true)
            .generate()
            .expect("bindgen says above what it could not read; it needs libclang: apt-get install libclang-dev, or dnf install clang-devel")
            .write_to_file("apache-headers/bindings.rs")
            .expect("apache-headers is writable");
        println!("cargo::rerun-if-env-changed=APXS");
    }
}

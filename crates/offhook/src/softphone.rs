//! The softphone's commands.

use std::process::ExitCode;

use offhook_phone::{
    AnswerOptions, CallOptions, MessageOptions, OptionsOptions, PhoneOptions, RegisterOptions, RunOptions,
    SubscribeOptions,
};

/// What a phone can be told.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Softphone {
    /// Place a call
    #[command(after_help = "Examples:
  offhook call '*43' --ladder
  offhook call sip:bob@example.com --account sip:alice@example.com --password-file secret \\
      --play hello.wav --record heard.wav --expect-audio speech --min-mos 3.8
  offhook call sip:x@127.0.0.2:5070 --play tone.wav      (needs no server)")]
    Call(Box<CallOptions>),
    /// Register, and answer calls
    #[command(after_help = "Examples:
  offhook answer --echo --calls 1
  offhook answer --code 486 --after 2s --account sip:bob@example.com --password-file secret
  offhook answer --local 127.0.0.2:5070                  (needs no server)")]
    Answer(Box<AnswerOptions>),
    /// Register once
    #[command(after_help = "Example:
  offhook register --account sip:alice@example.com --password-file secret")]
    Register(Box<RegisterOptions>),
    /// Take back what `register` left
    #[command(after_help = "Example:
  offhook unregister --account sip:alice@example.com --password-file secret")]
    Unregister(Box<RegisterOptions>),
    /// Ask whether someone is there
    #[command(after_help = "Example:
  offhook options sip:192.0.2.1:5060")]
    Options(Box<OptionsOptions>),
    /// Send a text
    #[command(after_help = "Example:
  offhook message 1002 'back in five minutes'")]
    Message(Box<MessageOptions>),
    /// Subscribe to someone's state, and print what comes
    #[command(after_help = "Example:
  offhook subscribe 1002 --event dialog --duration 1h")]
    Subscribe(Box<SubscribeOptions>),
    /// A telephone on the screen
    Phone(Box<PhoneOptions>),
    /// Perform a script of calls
    #[command(after_help = "Example:
  printf 'call *43\\nwait 3s\\ndtmf 12#\\nhangup\\n' | offhook run -")]
    Run(Box<RunOptions>),
    /// Place many calls, or register many times, and measure
    #[cfg(target_os = "linux")]
    #[command(after_help = "Examples:
  offhook load sip:bob@127.0.0.1 --rate 50/s --calls 10000
  offhook load sip:b@127.0.0.1 --callees 100 --account sip:u@127.0.0.1 --users 100 --rate 200/s --calls 2000
  offhook load sip:b@127.0.0.1 --callees 50 --calls 100 --held --rtp --watch 10s
  offhook load sip:127.0.0.1 --account sip:u@127.0.0.1 --users 1000 --password-file secret \\
      --registrations 1000 --rate 500/s --json")]
    Load(Box<offhook_phone::LoadOptions>),
}

impl Softphone {
    /// Does it.
    pub(crate) fn run(self) -> ExitCode {
        let exit = match self {
            Self::Call(options) => offhook_phone::call(&options),
            Self::Answer(options) => offhook_phone::answer(&options),
            Self::Register(options) => offhook_phone::register_once(&options),
            Self::Unregister(options) => offhook_phone::unregister_once(&options),
            Self::Options(options) => offhook_phone::options(&options),
            Self::Message(options) => offhook_phone::message(&options),
            Self::Subscribe(options) => offhook_phone::subscribe(&options),
            Self::Phone(options) => offhook_phone::phone(&options),
            Self::Run(options) => offhook_phone::run_script(&options),
            #[cfg(target_os = "linux")]
            Self::Load(options) => offhook_phone::load(&options),
        };
        ExitCode::from(exit.code())
    }
}

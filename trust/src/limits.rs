//! Every limit of the wire profile and of the trust documents, in one place, units in the names.

/// Longest token that is looked at, in octets of its compact text.
pub const TOKEN_OCTETS: usize = 4096;
/// Longest topic name or topic filter, in octets of UTF-8 (MQTT itself allows 65,535).
pub const TOPIC_OCTETS: usize = 1024;
/// Most members in a header or a set of claims.
pub const JSON_MEMBERS: usize = 32;
/// Deepest nesting of a value that the profile ignores.
pub const JSON_DEPTH: usize = 16;
/// Longest name of a domain, device, group or role, in octets.
pub const NAME_OCTETS: usize = 64;
/// Longest login audience, in octets.
pub const LOGIN_AUDIENCE_OCTETS: usize = 256;

/// Longest lifetime of a message token without a grant that states more, in seconds.
pub const MESSAGE_LIFETIME_SECONDS: u64 = 300;
/// Lifetime of a message token when nobody asks for another, in seconds.
pub const MESSAGE_LIFETIME_DEFAULT_SECONDS: u64 = 60;
/// Ceiling of a message lifetime that a grant may state, in seconds (30 days).
pub const MESSAGE_LIFETIME_CEILING_SECONDS: u64 = 30 * DAY;
/// Lifetime of a retained statement unless the grant says otherwise, in seconds (1 day).
pub const RETAINED_LIFETIME_DEFAULT_SECONDS: u64 = DAY;
/// Ceiling of a retained statement's lifetime, in seconds (1 year).
pub const RETAINED_LIFETIME_CEILING_SECONDS: u64 = 365 * DAY;
/// Lifetime of a will unless the grant says otherwise, in seconds (7 days).
pub const WILL_LIFETIME_DEFAULT_SECONDS: u64 = 7 * DAY;
/// Ceiling of a will's lifetime, in seconds (30 days).
pub const WILL_LIFETIME_CEILING_SECONDS: u64 = 30 * DAY;
/// Longest lifetime of a login token, in seconds.
pub const LOGIN_LIFETIME_SECONDS: u64 = 300;

/// Tolerance for clock error when judging, in seconds.
pub const LEEWAY_DEFAULT_SECONDS: u64 = 10;
/// Largest tolerance that may be configured, in seconds.
pub const LEEWAY_CEILING_SECONDS: u64 = 60;

/// Counters that one replay window remembers.
pub const WINDOW_COUNTERS: u64 = 512;
/// Octets that one sender may cost in one consumer's replay memory.
pub const WINDOW_OCTETS: usize = 512;
/// Counters behind the newest among which a retained statement can still be told to be new, for
/// its delivery as a live event.
pub const LIVE_STATEMENT_COUNTERS: u64 = 256;
/// Topics of one sender whose newest statement one consumer remembers.
pub const STATEMENT_TOPICS: usize = 4096;
/// Wills of one sender that one consumer remembers in one epoch.
pub const WILLS: usize = 64;
/// Accepted tokens whose content is remembered, to prove a clone.
pub const RECENT_TOKENS: usize = 1024;
/// Accepted tokens whose whole text is kept, so that others can judge the proof of a clone.
pub const RECENT_TEXTS: usize = 256;
/// Notices about epochs that wait to be taken.
pub const EPOCH_NOTICES: usize = 8;

/// Largest manifest, in octets.
pub const MANIFEST_OCTETS: usize = 1 << 20;
/// Largest root document, in octets.
pub const ROOT_OCTETS: usize = 64 << 10;
/// Largest shard, in octets.
pub const SHARD_OCTETS: usize = 1 << 20;
/// Largest number of shards; a power of two.
pub const SHARDS: u32 = 4096;
/// Largest bundle file, in octets.
pub const BUNDLE_OCTETS: u64 = 256 << 20;
/// Most root documents in one bundle file.
pub const BUNDLE_ROOTS: usize = 256;
/// Largest enrollment request, in octets.
pub const REQUEST_OCTETS: usize = 16 << 10;
/// Largest approval, in octets.
pub const APPROVAL_OCTETS: usize = 256 << 10;
/// Largest join file, in octets.
pub const JOIN_FILE_OCTETS: usize = 256 << 10;
/// Longest lifetime of a join token, in seconds (366 days).
pub const JOIN_LIFETIME_SECONDS: u64 = 366 * DAY;
/// Longest URL, user name or password of a broker, in octets.
pub const BROKER_TEXT_OCTETS: usize = 1024;
/// Largest answer to a request, in octets.
pub const ANSWER_OCTETS: usize = 4096;
/// Longest status token, in octets of its compact text: the most that its parts can come to.
pub const STATUS_OCTETS: usize = 20 << 10;
/// Longest lifetime of a status token, in seconds (366 days).
pub const STATUS_LIFETIME_SECONDS: u64 = 366 * DAY;
/// Most counters of one status.
pub const STATUS_COUNTS: usize = 32;
/// Most notices of one status.
pub const STATUS_NOTICES: usize = 8;
/// Longest code that a status tells, in octets.
pub const CODE_OCTETS: usize = 32;
/// Longest version of a program, in octets.
pub const VERSION_OCTETS: usize = 64;
/// Most signatures on one document.
pub const SIGNATURES: usize = 16;
/// Most root keys, and most registrar keys, that a root names.
pub const AUTHORITY_KEYS: usize = 16;
/// Most keys of one device.
pub const DEVICE_KEYS: usize = 4;
/// Most roles that a manifest defines, and most groups.
pub const ROLES: usize = 256;
/// Most grants in one role.
pub const GRANTS: usize = 64;
/// Most roles, and most groups, of one device.
pub const MEMBERSHIPS: usize = 32;
/// Longest serial of a board, in octets.
pub const SERIAL_OCTETS: usize = 64;
/// Longest reason for a suspension or revocation, in octets.
pub const REASON_OCTETS: usize = 256;

const DAY: u64 = 86_400;

package deps

// rules says for each package what it may import of this module and of others,
// and after "|" what its tests may import besides. Packages of this module are
// written from its root, other modules by the last word of their path. The
// standard library is free for all. A room may have its line before it is there.
//
// A room that needs more says why in its commit; it is one word here.
const rules = `
transport/moqt            : |
transport/wire            : transport/moqt |
transport/qlog            : transport/moqt transport/wire quic-go | transport transport/transporttest internal/netsim
transport                 : transport/moqt transport/wire transport/qlog internal/tasks quic-go webtransport-go httpsfv time | transport/transporttest internal/netsim
transport/transporttest   : transport transport/moqt internal/netsim |
transport/bond            : transport transport/moqt transport/wire | transport/transporttest internal/netsim
transport/bond/bondtest   : transport transport/bond |

relay/cache               : transport/moqt |
relay/bonds               : transport transport/moqt transport/bond transport/wire internal/tasks client_golang time | transport/transporttest
relay                     : transport transport/moqt transport/bond relay/cache relay/bonds api internal/backoff internal/live internal/prefix internal/tasks client_golang time | transport/transporttest transport/bond/bondtest transport/wire internal/netsim client_model

pub/fmp4                  : mp4ff |
pub/catalog               : |
pub                       : transport transport/moqt pub/fmp4 pub/catalog pub/bond internal/backoff | transport/transporttest internal/netsim relay pub/clip
pub/bond                  : transport transport/moqt transport/bond internal/backoff | transport/transporttest internal/netsim
pub/clip                  : pub/fmp4 | pub pub/catalog
sub                       : transport transport/moqt pub/catalog pub/fmp4 internal/backoff | transport/transporttest pub relay
rtmp                      : pub/fmp4 gortmplib | rtmp/rtmptest internal/devcert
rtmp/rtmptest             : gortmplib |
forward                   : sub rtmp pub/fmp4 transport/moqt | transport transport/transporttest pub pub/catalog rtmp/rtmptest

api                       : transport/moqt internal/prefix client_golang sync time | api/storetest
api/storetest             : api transport/moqt |
api/redisstore            : api transport/moqt go-redis | api/storetest miniredis
dir                       : transport transport/moqt internal/live internal/prefix client_golang | transport/transporttest
clock                     : transport transport/moqt | transport/transporttest

internal/app              : cli client_golang go-yaml |
internal/backoff          : |
internal/deps             : |
internal/dialer           : internal/app internal/draft internal/trace internal/trust transport transport/qlog cli |
internal/devcert          : |
internal/live             : transport/moqt internal/prefix |
internal/metrics          : client_golang |
internal/netif            : |
internal/netsim           : | internal/devcert quic-go
internal/prefix           : transport/moqt |
internal/site             : |
internal/tasks            : |
internal/draft            : internal/app transport transport/moqt cli |
internal/trace            : internal/app transport/qlog cli client_golang |
internal/trust            : internal/app quic-go cli | internal/devcert

cmd/moq                   : internal/app |
cmd/moq-api               : api api/redisstore internal/app internal/metrics cli client_golang | miniredis transport/moqt
cmd/moq-bench             : bench bench/figures bench/multipath internal/app internal/trust transport transport/moqt cli |
cmd/moq-clock             : clock transport transport/moqt internal/app internal/dialer cli | internal/devcert
cmd/moq-dir               : dir transport transport/moqt internal/app internal/devcert internal/metrics internal/trace quic-go cli client_golang | internal/trust
cmd/moq-interop-client    : interop transport/moqt transport/wire internal/app internal/trace internal/trust cli | internal/devcert relay transport
cmd/moq-pub               : pub pub/bond pub/clip pub/fmp4 transport transport/moqt internal/app internal/dialer internal/metrics internal/netif internal/trust cli client_golang sys | internal/devcert
cmd/moq-relay             : relay relay/bonds relay/cache api transport transport/moqt web internal/app internal/devcert internal/draft internal/metrics internal/site internal/trace internal/trust cli client_golang | internal/netsim
cmd/moq-sub               : forward rtmp sub transport transport/moqt internal/app internal/dialer internal/metrics cli client_golang | internal/devcert

bench                     : transport transport/moqt internal/netsim internal/devcert quic-go sys | transport/transporttest
bench/lab                 : internal/netsim sys |
bench/multipath           : bench bench/lab internal/devcert internal/netsim pub/bond relay transport transport/bond transport/bond/bondtest transport/moqt transport/transporttest quic-go |
bench/figures             : |
web                       : |
dev                       : |
dev/cluster               : internal/devcert |
dev/film                  : bench/lab internal/netsim |
dev/mkcert                : internal/devcert |
dev/stamp                 : |
docs                      : | relay relay/cache transport transport/moqt transport/qlog transport/wire internal/app api api/redisstore go-yaml
e2e                       : | rtmp/rtmptest bench/lab internal/devcert internal/netsim quic-go
interop                   : transport transport/moqt transport/wire quic-go | transport/transporttest internal/netsim relay
`

// never says what a package must not be linked with, by whatever way.
var never = []struct{ room, dep, why string }{
	{"relay", "pub", "a relay does not know what media is"},
	{"relay", "mp4ff", "a relay does not know what media is"},
	{"cmd/moq-relay", "pub", "a relay does not know what media is"},
	{"cmd/moq-api", "quic-go", "the API speaks HTTP and no QUIC"},
	{"cmd/moq-api", "webtransport-go", "the API speaks HTTP and no QUIC"},
	{"api", "quic-go", "the API speaks HTTP and no QUIC"},
	{"transport", "relay", "sessions have no cache"},
	{"transport", "client_golang", "a library leaves metrics to those who use it"},
	{"pub", "relay", "a publisher is no relay"},
	{"sub", "relay", "a subscriber is no relay"},
	{"transport", "cli", "flags are for commands"},
	{"relay", "cli", "flags are for commands"},
	{"pub", "cli", "flags are for commands"},
	{"api", "cli", "flags are for commands"},
	{"dir", "cli", "flags are for commands"},
}

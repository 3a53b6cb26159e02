package transport

import (
	"time"

	"github.com/tributary-live/tributary/transport/wire"
)

// expireLocked takes over what a message of the publisher says of how long the
// subscription will be served.
func (t *TrackReader) expireLocked(p *wire.Params) { t.expires = p.Expires.Value }

// Expires returns after how long the publisher will end the subscription, as it
// has told when the subscription began or was last updated, or 0 if it told
// nothing. An update, also of nothing, asks it for more time. ("EXPIRES
// Parameter")
func (t *TrackReader) Expires() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.expires
}

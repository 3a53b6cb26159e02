package api

// The bodies of requests and answers, JSON. Namespaces are in the draft's
// printed form. Fields that are not known are ignored.

// leaseRequest is the body of POST, PATCH and DELETE of /origin/<namespace> and
// of POST and DELETE of /origins, each with the fields it needs.
type leaseRequest struct {
	Node       string   `json:"node"`
	LeaseKey   string   `json:"lease_key"`
	URL        string   `json:"url,omitempty"`        // POST
	TTLMillis  int64    `json:"ttl_ms,omitempty"`     // POST and PATCH; 0: the server's default
	Namespaces []string `json:"namespaces,omitempty"` // of /origins
}

// leaseAnswer says how long a record lives, which is the TTL that was asked for
// within the server's bounds, and what part of a batch failed.
type leaseAnswer struct {
	LeaseMillis int64     `json:"lease_ms,omitempty"`
	Failed      []failure `json:"failed,omitempty"`
}

type failure struct {
	Namespace string `json:"namespace"`
	Status    int    `json:"status"`
	Error     string `json:"error"`
}

// lookupAnswer is the body of GET /origin/<namespace>. Namespace is the one
// asked for or the prefix of it that has origins. URL is that of the first
// origin, for clients that know of one only.
type lookupAnswer struct {
	Namespace string         `json:"namespace"`
	URL       string         `json:"url"`
	Origins   []originAnswer `json:"origins"`
}

// listAnswer is the body of GET /origins.
type listAnswer struct {
	Origins   []originAnswer `json:"origins"`
	Truncated bool           `json:"truncated,omitempty"` // there may be more
}

type originAnswer struct {
	Namespace     string `json:"namespace,omitempty"` // of GET /origins
	Node          string `json:"node"`
	URL           string `json:"url"`
	ExpiresMillis int64  `json:"expires_in_ms"`
}

type errorAnswer struct {
	Error string `json:"error"`
}

// Bounds of requests, which the client keeps as well.
const (
	maxBodyBytes  = 64 << 10 // of /origin/<namespace>
	maxBatchBytes = 1 << 20  // of /origins
	maxBatch      = 256      // namespaces in one batch
	maxList       = 1000     // origins in one list
)

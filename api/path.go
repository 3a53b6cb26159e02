package api

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/tributary-live/tributary/transport/moqt"
)

// ParseNamespace reads a namespace as it stands in the path of a request, after
// "/origin/", still percent-encoded. There are two forms:
//
//   - Without a slash it is the printed form of the draft, which programs use:
//     fields joined by "-", other bytes than letters, digits and "_" written as
//     a period and two hex digits: "live-my.2dcam".
//   - With a slash it is for people: fields joined by "/", each percent-encoded:
//     "live/my-cam". One slash at the end is ignored, so that "my-cam/" is the
//     namespace of one field.
func ParseNamespace(escaped string) (moqt.Namespace, error) {
	ns, err := parseNamespace(escaped)
	if err != nil {
		return moqt.Namespace{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return ns, nil
}

func parseNamespace(escaped string) (moqt.Namespace, error) {
	if !strings.Contains(escaped, "/") {
		printed, err := url.PathUnescape(escaped)
		if err != nil {
			return moqt.Namespace{}, err
		}
		return moqt.ParseNamespace(printed)
	}
	parts := strings.Split(strings.TrimSuffix(escaped, "/"), "/")
	if len(parts) > moqt.MaxNamespaceFields {
		return moqt.Namespace{}, fmt.Errorf("namespace of %d fields (at most %d)", len(parts), moqt.MaxNamespaceFields)
	}
	for i, p := range parts {
		field, err := url.PathUnescape(p)
		if err != nil {
			return moqt.Namespace{}, err
		}
		parts[i] = field
	}
	return moqt.NewNamespace(parts...)
}

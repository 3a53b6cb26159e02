package dir_test

import (
	"context"
	"crypto/tls"
	"log"

	"github.com/tributary-live/tributary/dir"
	"github.com/tributary-live/tributary/transport"
)

func Example() {
	d, err := dir.New(dir.Config{})
	if err != nil {
		log.Fatal(err)
	}
	cert, err := tls.LoadX509KeyPair("cert.pem", "key.pem")
	if err != nil {
		log.Fatal(err)
	}
	srv := &transport.Server{
		Addr:      ":4482",
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}},
		Handler:   d,
	}
	log.Fatal(srv.ListenAndServe(context.Background()))
}

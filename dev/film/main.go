// Command film has a publisher go live over three simulated networks, cuts and
// unplugs them while Chromium plays, and keeps a strip of what the viewer saw.
// It needs root for the networks, ffmpeg, Chromium and Node:
//
//	make build && sudo go run ./dev/film -out docs/figures/bond.png
//
// It fails if the picture stood still for longer than -freeze.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/tributary-live/tributary/bench/lab"
	"github.com/tributary-live/tributary/internal/netsim"
)

func main() {
	bin := flag.String("bin", "bin", "directory of the commands, made by make build")
	out := flag.String("out", "docs/figures/bond.png", "the strip")
	mode := flag.String("mode", "hybrid", "of moq-pub")
	freeze := flag.Duration("freeze", time.Second, "how long the picture may stand still")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *bin, *out, *mode, *freeze); err != nil {
		fmt.Fprintln(os.Stderr, "film:", err)
		os.Exit(1)
	}
}

// A van's networks: what each carries, and how long one way takes.
var networks = []struct {
	name string
	opts []netsim.Option
}{
	{"wlan0", []netsim.Option{netsim.Rate(8e6), netsim.Delay(15 * time.Millisecond)}},
	{"usb0", []netsim.Option{netsim.Rate(5e6), netsim.Delay(30 * time.Millisecond), netsim.Loss(0.002)}},
	{"sat0", []netsim.Option{netsim.Rate(4e6), netsim.Delay(55 * time.Millisecond), netsim.Loss(0.005)}},
}

const (
	name  = "van/camera"
	media = "testsrc2=size=640x360:rate=30"
)

func run(ctx context.Context, bin, out, mode string, freeze time.Duration) error {
	l, err := lab.New()
	if err != nil {
		return err
	}
	defer l.Close()
	paths := make(map[string]*lab.Path)
	plug := func(i int) error {
		p, err := l.AddPath(networks[i].name, networks[i].opts...)
		paths[networks[i].name] = p
		return err
	}
	for i := range networks {
		if err := plug(i); err != nil {
			return err
		}
	}
	var procs []*process
	defer func() {
		for i := len(procs) - 1; i >= 0; i-- {
			procs[i].end()
		}
	}()
	start := func(h *lab.Host, stdin io.Reader, name string, args ...string) (*process, error) {
		p, err := begin(h, stdin, name, args...)
		if err == nil {
			procs = append(procs, p)
		}
		return p, err
	}
	relay, err := start(l.Relay, nil, filepath.Join(bin, "moq-relay"), "--dev", "--bind", "[::]:4443", "--admin", "127.0.0.1:4480", "--log-level", "info")
	if err != nil {
		return err
	}
	if err := relay.says(ctx, "relay ready"); err != nil {
		return err
	}
	// The certificate is one of this run, and nobody else is on these networks.
	publisher, err := start(l.Publisher, nil, "sh", "-c", fmt.Sprintf(`ffmpeg -loglevel error -re -f lavfi -i %s -f lavfi -i sine=frequency=440 \
		-c:v libx264 -preset veryfast -tune zerolatency -bf 0 -g 60 -b:v 2500k -maxrate 2500k -bufsize 500k -pix_fmt yuv420p -c:a aac \
		-f mp4 -movflags cmaf+separate_moof+delay_moov+skip_trailer+frag_every_frame - |
		%s --name %s --path wlan0,usb0,sat0 --mode %s --tls-disable-verify moqt://%s:4443`,
		media, filepath.Join(bin, "moq-pub"), name, mode, lab.RelayAddr))
	if err != nil {
		return err
	}
	commands, stdin := io.Pipe()
	defer stdin.Close()
	viewer, err := start(l.Relay, commands, "node", "web/e2e/film.js", "http://127.0.0.1:4443/#"+name, out)
	if err != nil {
		return err
	}
	if err := viewer.says(ctx, "live"); err != nil {
		return err
	}
	scenes := []struct {
		do    func() error
		label string
		wait  time.Duration
	}{
		{nil, "three networks", 12 * time.Second},
		{func() error { paths["wlan0"].Cut(); return nil }, "wlan0 is dead", 4 * time.Second},
		{func() error { paths["usb0"].Close(); return nil }, "usb0 is unplugged", 5 * time.Second},
		{func() error { paths["wlan0"].Restore(); return nil }, "wlan0 is back", 6 * time.Second},
		{func() error { return plug(1) }, "usb0 is plugged in", 6 * time.Second},
		{func() error { paths["sat0"].Cut(); paths["wlan0"].Cut(); return nil }, "only usb0 is left", 6 * time.Second},
	}
	for _, s := range scenes {
		if s.do != nil {
			if err := s.do(); err != nil {
				return err
			}
		}
		select {
		case <-time.After(s.wait):
		case <-publisher.done:
			return errors.New("the publisher has ended")
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		fmt.Fprintf(stdin, "shot %s\n", s.label)
		if err := viewer.says(ctx, "shot"); err != nil {
			return err
		}
	}
	fmt.Fprintf(stdin, "end %d\n", freeze.Milliseconds())
	stdin.Close()
	select {
	case <-viewer.done:
		return viewer.err
	case <-time.After(30 * time.Second):
		return errors.New("the viewer does not end")
	}
}

// process is one that runs on a host, and the lines it has written.
type process struct {
	name  string
	cmd   *exec.Cmd
	lines chan string
	done  chan struct{} // closed when it has ended
	err   error         // why, if that was bad; read it after done
}

func begin(h *lab.Host, stdin io.Reader, program string, args ...string) (*process, error) {
	p := &process{name: filepath.Base(program), cmd: exec.Command(program, args...), lines: make(chan string, 1000), done: make(chan struct{})}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.Stdin, p.cmd.WaitDelay = stdin, time.Second // the pipes are ours, and may be held by its children
	out, w := io.Pipe()
	p.cmd.Stdout, p.cmd.Stderr = w, w
	if err := h.Do(p.cmd.Start); err != nil {
		return nil, fmt.Errorf("start %s: %w (make build makes the commands)", program, err)
	}
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			fmt.Fprintf(os.Stderr, "%-9s | %s\n", p.name, s.Text())
			select {
			case p.lines <- s.Text():
			default: // nobody waits for one
			}
		}
	}()
	go func() {
		if err := p.cmd.Wait(); err != nil {
			p.err = fmt.Errorf("%s: %w", p.name, err)
		}
		w.Close()
		close(p.done)
	}()
	return p, nil
}

// says waits for a line with text in it.
func (p *process) says(ctx context.Context, text string) error {
	late := time.NewTimer(30 * time.Second)
	defer late.Stop()
	for {
		select {
		case line := <-p.lines:
			if strings.Contains(line, text) {
				return nil
			}
		case <-p.done:
			return fmt.Errorf("%s has ended before it said %q: %w", p.name, text, errors.Join(p.err))
		case <-late.C:
			return fmt.Errorf("%s did not say %q in 30 s", p.name, text)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// end ends the process and those it has started.
func (p *process) end() {
	syscall.Kill(-p.cmd.Process.Pid, syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(5 * time.Second):
		syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.done
	}
}

package ua

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// namespaceEnv makes the test binary watch the addresses of a network of its own.
const namespaceEnv = "UA_TEST_NAMESPACE"

// namespaced is that, when it was asked for.
func namespaced() bool {
	if os.Getenv(namespaceEnv) == "" {
		return false
	}
	namespaceProcess()
	return true
}

// namespaceProcess brings its loopback interface up, which gives that an address, and
// tells whether it heard of it.
func namespaceProcess() {
	heard := make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	over := make(chan error, 1)
	go func() {
		over <- WatchAddresses(ctx, func() {
			select {
			case heard <- struct{}{}:
			default:
			}
		})
	}()
	limit := time.After(20 * time.Second)
	// The watch begins at an unknown moment: down and up until it hears.
	for up := true; ; up = !up {
		if err := setLoopback(up); err != nil {
			fmt.Println("loopback:", err)
			return
		}
		select {
		case <-heard:
			cancel()
			_, err := net.ResolveUDPAddr("udp", "127.0.0.1:1")
			fmt.Println("heard", <-over, err)
			return
		case err := <-over:
			fmt.Println("over:", err)
			return
		case <-time.After(2 * settled):
		case <-limit:
			fmt.Println("heard nothing")
			return
		}
	}
}

// setLoopback is what "ip link set lo up" does.
func setLoopback(up bool) error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	var request struct {
		name  [syscall.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}
	copy(request.name[:], "lo")
	if up {
		request.flags = syscall.IFF_UP
	}
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return errno
	}
	return nil
}

// The kernel tells of addresses that come and go.
func TestChangedAddressesAreNoticed(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), namespaceEnv+"=1")
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said, _ := bufio.NewReader(out).ReadString('\n')
	if err := cmd.Wait(); err != nil || strings.TrimSpace(said) != "heard <nil> <nil>" {
		t.Errorf("%q, %v", said, err)
	}
}

// The watch ends with its context.
func TestTheWatchOfAddressesEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- WatchAddresses(ctx, func() {}) }()
	cancel()
	if err := <-over; err != nil {
		t.Error(err)
	}
}

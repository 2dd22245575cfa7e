/**
 * The system calls a namespace is read with. Each returns what the kernel
 * does: its result, or a negative errno. Constants are those of the generic
 * Linux ABI (x86-64, arm64, riscv64, s390x).
 */
export interface Libc {
  setns(fd: number, kind: number): number;
  socket(family: number, kind: number, protocol: number): number;
  connect(fd: number, address: Uint8Array): number;
  setsockopt(fd: number, level: number, option: number, value: Uint8Array): number;
  getsockopt(fd: number, level: number, option: number, value: Uint8Array): number;
  close(fd: number): number;
  /** On a thread of libuv's pool. */
  send(fd: number, message: Uint8Array, flags: number): Promise<number>;
  /** On a thread of libuv's pool; `buffer` must not be touched until it settles. */
  recv(fd: number, buffer: Uint8Array, flags: number): Promise<number>;
  /** On this thread. */
  recvNow(fd: number, buffer: Uint8Array, flags: number): number;
  /** As recvmsg(2) on this thread, without waiting: `buffer` gets the start of one datagram, `control` what the kernel says about it. */
  recvMessageNow(fd: number, buffer: Uint8Array, control: Uint8Array): ReceivedMessage;
  /** Calls back on this thread whenever there is something to receive, until disposed of. Keeps no process alive. */
  onReadable(fd: number, action: () => void): Disposable;
}

export interface ReceivedMessage {
  /** What was written to the buffer, or a negative errno. */
  readonly length: number;
  readonly controlLength: number;
}

const withoutWaiting = 0x40;
/** Smaller arrays lie within the JavaScript heap, where they may be moved. */
const offHeapWords = 64;

type Argument = number | ArrayBufferView;

interface NativeFunction {
  (...args: readonly Argument[]): number;
  /** The last argument is called back with an error or null, and the result. */
  async(...args: readonly (Argument | ((error: Error | null, result: number) => void))[]): void;
}

/** Rejects when there is no native library for this machine. */
export async function loadLibc(): Promise<Libc> {
  // Imported here because only the agent has a use for native code.
  const { default: koffi } = await import("koffi");
  // The C library is in the process already, whether it is glibc or musl.
  const lib = koffi.load(null);
  const declare = (prototype: string): NativeFunction => lib.func(prototype);
  const setns = declare("int setns(int fd, int kind)");
  const socket = declare("int socket(int family, int kind, int protocol)");
  const connect = declare("int connect(int fd, const void *address, uint32_t length)");
  const setsockopt = declare(
    "int setsockopt(int fd, int level, int option, const void *value, uint32_t length)",
  );
  const getsockopt = declare("int getsockopt(int fd, int level, int option, void *value, void *length)");
  const close = declare("int close(int fd)");
  const send = declare("intptr_t send(int fd, const void *message, size_t length, int flags)");
  const recv = declare("intptr_t recv(int fd, void *buffer, size_t length, int flags)");
  const recvmsg = declare("intptr_t recvmsg(int fd, void *message, int flags)");

  const outcome = (result: number): number => (result === -1 ? -koffi.errno() : result);
  const call =
    (symbol: NativeFunction) =>
    (...args: readonly Argument[]): number =>
      outcome(symbol(...args));
  const callOnPool =
    (symbol: NativeFunction) =>
    (...args: readonly Argument[]): Promise<number> =>
      new Promise((resolve, reject) => {
        symbol.async(...args, (error: Error | null, result: number) => {
          // The errno of the pool's thread is this thread's for the length of this callback only.
          if (error) reject(error);
          else resolve(outcome(result));
        });
      });
  const sendOnPool = callOnPool(send);
  const recvOnPool = callOnPool(recv);

  // struct iovec and struct msghdr, in words of 64 bits.
  const vector = new BigUint64Array(offHeapWords);
  const header = new BigUint64Array(offHeapWords);
  function recvMessageNow(fd: number, buffer: Uint8Array, control: Uint8Array): ReceivedMessage {
    vector.set([koffi.address(buffer), BigInt(buffer.byteLength)]);
    header.set([0n, 0n, koffi.address(vector), 1n, koffi.address(control), BigInt(control.byteLength), 0n]);
    const length = outcome(recvmsg(fd, header, withoutWaiting));
    return { length, controlLength: Number(header[5]) };
  }

  function onReadable(fd: number, action: () => void): Disposable {
    let open = true;
    const handle = koffi.node.poll(fd, { readable: true }, wake);
    handle.unref();
    function wake(): void {
      action();
      // An error that waits on the socket, as when its messages overflow, ends the polling.
      if (open) handle.start({ readable: true }, wake);
    }
    return {
      [Symbol.dispose]() {
        open = false;
        handle.close();
      },
    };
  }

  return {
    setns: call(setns),
    socket: call(socket),
    connect: (fd, address) => outcome(connect(fd, address, address.byteLength)),
    setsockopt: (fd, level, option, value) => outcome(setsockopt(fd, level, option, value, value.byteLength)),
    getsockopt: (fd, level, option, value) =>
      outcome(getsockopt(fd, level, option, value, Uint32Array.of(value.byteLength))),
    close: call(close),
    send: (fd, message, flags) => sendOnPool(fd, message, message.byteLength, flags),
    recv: (fd, buffer, flags) => recvOnPool(fd, buffer, buffer.byteLength, flags),
    recvNow: (fd, buffer, flags) => outcome(recv(fd, buffer, buffer.byteLength, flags)),
    recvMessageNow,
    onReadable,
  };
}

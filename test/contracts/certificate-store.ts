import { expect, test } from "vitest";
import type { CertificateStore } from "../../src/certificates/contract.ts";
import { neverAborted as signal } from "../../src/domain/signals.ts";
import { failure } from "../support/failure.ts";

/** A place where nothing is kept yet, and as many stores on it as a test wants. */
export interface CertificatePlace extends AsyncDisposable {
  open(): CertificateStore;
}

export function certificateStoreContract(make: () => Promise<CertificatePlace>): void {
  test("what was never kept isn't there", async () => {
    await using place = await make();
    const store = place.open();
    expect(await store.authority(signal)).toEqual({});
    expect(await store.certificate("tls", signal)).toEqual({});
  });

  test("another run finds what was kept, the authority's certificate beside each", async () => {
    await using place = await make();
    const store = place.open();
    await store.authority(signal);
    await store.keepAuthority({ certificate: "authority", key: "its key" }, signal);
    for (const name of ["tls", "vnf"]) {
      await store.certificate(name, signal);
      await store.keepCertificate(
        name,
        { certificate: name, key: `${name}'s key`, authority: "authority" },
        signal,
      );
    }
    const later = place.open();
    expect(await later.authority(signal)).toEqual({ certificate: "authority", key: "its key" });
    expect(await later.certificate("vnf", signal)).toEqual({
      certificate: "vnf",
      key: "vnf's key",
      authority: "authority",
    });
  });

  test("what is kept anew takes the place of what was there", async () => {
    await using place = await make();
    const store = place.open();
    for (const certificate of ["first", "second"]) {
      await store.authority(signal);
      await store.keepAuthority({ certificate: `${certificate} authority`, key: "its key" }, signal);
      await store.certificate("tls", signal);
      const pair = { certificate, key: `${certificate} key`, authority: `${certificate} authority` };
      await store.keepCertificate("tls", pair, signal);
    }
    expect(await store.authority(signal)).toEqual({ certificate: "second authority", key: "its key" });
    expect(await store.certificate("tls", signal)).toEqual({
      certificate: "second",
      key: "second key",
      authority: "second authority",
    });
  });

  test("of two runs that make an authority at once, one is told to look again", async () => {
    await using place = await make();
    const [one, other] = [place.open(), place.open()];
    await one.authority(signal);
    await other.authority(signal);
    await one.keepAuthority({ certificate: "one", key: "one's key" }, signal);
    const overtaken = other.keepAuthority({ certificate: "other", key: "other's key" }, signal);
    await expect(overtaken).rejects.toEqual(failure("UNREACHABLE", "meanwhile"));
    expect(await one.authority(signal)).toEqual({ certificate: "one", key: "one's key" });
  });
}

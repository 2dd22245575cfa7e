import type { Happening, Source, Telemetry, Work, WorkFailure } from "../../src/domain/telemetry.ts";

export interface EndedWork {
  readonly work: Work;
  readonly failure: WorkFailure | undefined;
}

/** Telemetry that keeps what it is told. */
export function createRecordingTelemetry() {
  const begun: Work[] = [];
  const ended: EndedWork[] = [];
  const happenings: Happening[] = [];
  const sources: Source[] = [];
  const telemetry: Telemetry = {
    begin(work) {
      begun.push(work);
      let over = false;
      return {
        run: (inner) => inner(),
        end(failure) {
          if (!over) ended.push({ work, failure });
          over = true;
        },
      };
    },
    count: (happening) => void happenings.push(happening),
    watch: (source) => void sources.push(source),
  };
  return { telemetry, begun, ended, happenings, sources };
}

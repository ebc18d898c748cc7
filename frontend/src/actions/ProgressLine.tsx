import { type FragmentType, graphql, readFragment } from "../gql";
import { ProgressBar } from "../ui/ProgressBar";

const ProgressLineFragment = graphql(`
  fragment ProgressLine on Progress {
    done
    total
    message
  }
`);

interface Props {
  progress: FragmentType<typeof ProgressLineFragment>;
  hasEnded: boolean;
  /** For a row of the tree. */
  small?: boolean;
}

export const readProgress = (progress: Props["progress"]) => readFragment(ProgressLineFragment, progress);

/** How much of an action is done. */
export function ProgressLine({ progress, ...props }: Props) {
  return <ProgressBar {...readProgress(progress)} {...props} />;
}

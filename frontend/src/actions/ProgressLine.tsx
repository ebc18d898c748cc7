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

/** How much of an action is done. */
export function ProgressLine({ progress, ...props }: Props) {
  return <ProgressBar {...readFragment(ProgressLineFragment, progress)} {...props} />;
}

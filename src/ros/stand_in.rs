//! What r2r makes of the interfaces, for type-checking where there is no ROS 2: its own stand-ins lack
//! this package and `std_srvs`. Only bytes pass through, so no type here needs fields.

macro_rules! services {
    ($($package:ident: $($service:ident)*;)*) => {
        $(pub(super) mod $package {
            pub(in super::super) mod srv {
                $(#[expect(non_snake_case, reason = "r2r names modules after services")]
                pub(in super::super::super) mod $service {
                    /// Request or response: nothing but a type.
                    #[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
                    pub(in super::super::super::super) struct Fields;

                    impl r2r::WrappedTypesupport for Fields {
                        type CStruct = ();
                        fn get_ts() -> &'static r2r_rcl::rosidl_message_type_support_t {
                            unimplemented!()
                        }
                        fn create_msg() -> *mut () {
                            unimplemented!()
                        }
                        fn destroy_msg(_: *mut ()) {
                            unimplemented!()
                        }
                        fn from_native((): &()) -> Self {
                            unimplemented!()
                        }
                        fn copy_to_native(&self, (): &mut ()) {
                            unimplemented!()
                        }
                    }

                    #[derive(Clone, Debug)]
                    pub(in super::super::super::super) struct Service;

                    impl r2r::WrappedServiceTypeSupport for Service {
                        type Request = Fields;
                        type Response = Fields;
                        fn get_ts() -> &'static r2r_rcl::rosidl_service_type_support_t {
                            unimplemented!()
                        }
                    }
                })*
            }
        })*
    };
}

services! {
    rostro: Enrol SetName Merge Forget ListPeople ExportPerson Identify;
    std_srvs: SetBool Empty Trigger;
}
